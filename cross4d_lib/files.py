"""Where everything lies that was made here and can be made again: targets, encoders, checkpoints, pools, in-domain
teachers."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where stores lie unless told otherwise: $CROSS4D_CACHE, or ~/.cache/cross4d."""
    return Path(os.environ.get("CROSS4D_CACHE") or Path.home() / ".cache" / "cross4d")
