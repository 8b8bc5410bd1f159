"""``hd-edge check``: proves that drafted text is plain text. Imported by tools only."""
