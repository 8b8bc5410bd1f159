"""Draft trees: what to draft, what it is worth, what a row costs; in ``drafter`` the small model that proposes words.

May import the tiers, ``backend.grammar`` and the native drafter; no SQL. Only ``drafter`` meets llama.cpp itself.
"""
