"""``python -m hd_edge`` is the ``hd-edge`` command."""

from .cli import main

if __name__ == "__main__":
    main()
