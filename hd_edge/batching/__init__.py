"""Batching: one model, one KV cache, many conversations, each with the tokens it would have alone.

Continuous batching (Orca, Yu et al., OSDI 2022): conversations join and leave between two forwards. May import
``llama`` and all rooms below it; ``server`` and ``cli`` use it.
"""
