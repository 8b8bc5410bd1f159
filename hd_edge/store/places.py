"""Where hd_edge keeps things of the user."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """Folder of the stores: ``HD_EDGE_HOME``, or the user's data folder of this system. Not created here."""
    if home := os.environ.get("HD_EDGE_HOME"):
        return Path(home).expanduser()
    import platformdirs

    return platformdirs.user_data_path("hd_edge")
