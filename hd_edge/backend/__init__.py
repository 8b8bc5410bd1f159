"""llama.cpp's internals: function table, exactness, grammars, our CPU kernels, threads. The only room that knows them.

May import ``config`` and ``errors``.
"""
