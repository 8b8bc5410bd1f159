"""The decode loop: plan a draft tree, verify it in one forward, accept, learn.

Knows the planner's interface (``draft.planner``), the native verifier and ``llama_cpp``'s sampler chain; no tiers, no
SQL, no text.
"""
