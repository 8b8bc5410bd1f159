"""Builders of stores: a model tier from prompts, a statistics tier from a corpus.

May import ``hd_edge.Llama``, stores and models; imported by ``cli`` and ``bench`` only.
"""
