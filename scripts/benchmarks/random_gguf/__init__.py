"""Models with random weights in the shapes that people run: the parts of ``make_random_gguf``."""
