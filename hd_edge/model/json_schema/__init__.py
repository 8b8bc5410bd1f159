"""JSON schemas as grammars (GBNF): every text that such a grammar allows is JSON that the schema takes.

A schema is brought into the form "one of these shapes" (``reading``, ``shape``), then each is written (``writer``).
What a grammar without context cannot hold is refused in words, never left out in silence.
"""
