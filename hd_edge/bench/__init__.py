"""The benchmark: the same questions answered in several ways, in turns, on one machine (``hd-edge bench``).

May import every room below the tools and ``build``; imported by ``cli`` only.
"""
