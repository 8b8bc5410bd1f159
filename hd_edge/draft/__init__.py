"""Draft trees: what to draft, what it is worth, what a row costs.

May import the tiers, ``backend.grammar`` and the native drafter; no SQL, nothing else of llama.cpp.
"""
