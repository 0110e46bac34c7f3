"""Memory that training frees stays with the process: a step asks for the same large blocks again and again.

The C library gives every large block back to the system at once, and the system clears each page before it hands it out
again; on a CPU that clearing takes about a quarter of a training step (``benchmarks/bench_pretrain.py`` measures both).
Numbers do not change.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of <malloc.h>
OWN_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


@cache
def keep_freed_memory() -> bool:
    """Ask glibc to reuse freed blocks instead of returning them to the system, once a process. Returns whether it does
    now.

    Without glibc, or where the user has settings or an allocator of their own (``OWN_SETTINGS``), nothing is changed.
    The process then holds the most memory it has needed so far until it ends.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in OWN_SETTINGS):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # musl has no mallopt
        return False
    return bool(library.mallopt(MMAP_MAX, 0) and library.mallopt(TRIM_THRESHOLD, -1))
