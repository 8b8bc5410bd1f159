"""SQLite files of n-grams: schema, opening safely, upkeep, moving between stores.

May import ``model`` (identity, vocabulary) and ``config``; nothing of drafting.
"""
