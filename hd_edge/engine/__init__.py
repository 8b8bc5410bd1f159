"""The decode loop: plan a draft tree, verify it in one forward, accept, learn; sampling, prefill, completion calls.

Imports the planner's interface (``draft.planner``), ``model``, ``backend`` and the native verifier, no tiers, no SQL.
"""
