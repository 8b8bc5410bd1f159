"""A model file and its text: GGUF header, identity, vocabulary, chat prompts, finding models.

May import ``backend``; nothing of drafting or of stores.
"""
