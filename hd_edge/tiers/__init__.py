"""The tiers below the context: what this model said before, and statistics of a large corpus.

Knows ``store`` and the native cache of records; nothing of drafting.
"""
