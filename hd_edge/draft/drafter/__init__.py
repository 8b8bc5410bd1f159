"""The drafter: a small GGUF in a context of its own, whose next words become drafts of the target.

Knows ``model`` and ``backend``; nothing of planners, which ask it through ``DrafterTier``.
"""
