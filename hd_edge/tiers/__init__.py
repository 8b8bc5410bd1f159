"""The tiers below the context: the earlier output of this model, and statistics of a large corpus.

Knows ``store`` and the native cache of records; nothing of drafting.
"""
