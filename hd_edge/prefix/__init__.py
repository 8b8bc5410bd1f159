"""The prefix store: KV state of prompts in memory and on disk, so that a text is read once.

Knows ``store`` (its files), ``model``, ``backend``, ``errors``; who computes with the model it asks through a protocol.
"""
