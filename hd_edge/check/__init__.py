"""``hd-edge check``: proves that drafted text is plain text.

May import every room below the tools; imported by ``cli`` only.
"""
