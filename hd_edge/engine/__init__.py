"""The decode loop: plan a draft tree, verify it in one forward, accept, learn; sampling, prefill, completion calls.

May import the planner's interface (``draft.planner``), ``model``, ``backend``, the native verifier; no tiers, no SQL.
"""
