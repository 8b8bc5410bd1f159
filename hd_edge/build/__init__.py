"""Builders of stores: a model tier from prompts, a statistics tier from a corpus. Imported by tools only."""
