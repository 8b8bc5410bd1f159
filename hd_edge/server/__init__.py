"""OpenAI-compatible HTTP server (extra ``server``).

May import every room below the tools; imported by ``cli`` only.
"""

from .app import create_app

__all__ = ["create_app"]
