"""llama.cpp's internals: function table, exactness, our CPU kernels, threads. The only room that knows them.

Knows the GGUF header (``model.gguf``); nothing of drafting.
"""
