"""The benchmark: the same questions answered in several ways, in turns, on one machine (``hd-edge bench``)."""
