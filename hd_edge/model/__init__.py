"""A model file and its text: GGUF header, vocabulary, chat prompts, completions, finding models.

Knows ``llama_cpp``'s public calls; nothing of drafting or of stores.
"""
