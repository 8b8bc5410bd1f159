"""Draft trees: what to draft, what it is worth, what a row costs.

Knows the tiers and the native drafter; nothing of llama.cpp.
"""
