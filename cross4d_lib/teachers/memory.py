"""How many images a model takes at once: as many as fit into the memory that is free, and never so many that speed
suffers."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import TeacherError

SHARE = 0.6  # of what is free, so that the render and the targets have room too
# times tokens x D that one block holds at most: queries, keys, values, the MLP's 4 D before and after its activation,
# sums
LIVE = 16


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a device in bytes; None where the system does not say."""
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )  # torch keeps what it no longer uses
        return torch.cuda.mem_get_info(device)[0] + held
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None


def item_bytes(tokens: int, dim: int, dtype: torch.dtype) -> int:
    """About what one image (or window of a clip) of ``tokens`` tokens takes in a forward pass. Attention is never laid
    out whole."""
    return LIVE * tokens * dim * dtype.itemsize


def fitting_batch(tokens: int, dim: int, dtype: torch.dtype, device: torch.device, most: int, name: str) -> int:
    """Items a forward pass may take: at most ``most``, fewer where memory is short. Raises TeacherError when not one
    fits."""
    free, each = free_bytes(device), item_bytes(tokens, dim, dtype)
    if free is None:
        return most
    fit = int(SHARE * free) // each
    if fit < 1:
        raise TeacherError(
            f"one forward pass takes about {each / 1e9:.1f} GB, {free / 1e9:.1f} GB are free on {device}",
            name,
            "close other programs, use another device, or a smaller teacher",
        )
    return min(most, fit)


def check_room(parameters: int, dtype: torch.dtype, device: torch.device, name: str) -> None:
    """Refuse a model whose weights alone do not fit, before they are read."""
    free, needed = free_bytes(device), parameters * dtype.itemsize
    if free is not None and needed > free:
        raise TeacherError(
            f"about {parameters / 1e6:,.0f} M weights take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free on {device}",
            name,
            "use another device, dtype=torch.bfloat16, or a smaller teacher of the family",
        )
