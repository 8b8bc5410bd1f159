"""OpenAI-compatible HTTP server on ``llama_cpp.server`` (extra ``server``)."""

from .app import create_app

__all__ = ["create_app"]
