"""SQLite files of n-grams: schema, opening safely, upkeep, moving between stores, whose file it is.

Knows ``errors`` and the vocabulary of a model; nothing of drafting.
"""
