"""The prefix store: KV state of prompts in memory and on disk, so that a text is read once."""
