"""How the benchmarks time: ours and the peer in turn, medians; or one call for as long as its budget lasts."""

import os
import statistics
import sys
import time

import torch

from cross4d_lib.cli import MEMORY

SIDE = 2048  # of the square matrices of ``product_rate``


def medians(repeats: int, *calls, clock=time.perf_counter) -> list[float]:
    """Median milliseconds of each call; the calls take turns, so that a busy machine slows all of them alike."""
    times = [[] for _ in calls]
    for repeat in range(repeats + 1):
        for call, record in zip(calls, times):
            start = clock()
            call()
            if repeat:  # the first round warms up
                record.append(1e3 * (clock() - start))
    return [statistics.median(record) for record in times]


def clock_for(device):
    """A clock in seconds: one CPU thread counts its own time alone, which other processes disturb little."""
    return time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter


def seconds_of(call, device, budget: float, least: int = 3) -> list[float]:
    """Seconds of each call, repeated for ``budget`` seconds and ``least`` times at least; one call before warms up."""
    times, end, clock = [], None, clock_for(device)
    while end is None or len(times) < least or time.perf_counter() < end:
        start = clock()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if end is not None:
            times.append(clock() - start)
        end = end or time.perf_counter() + budget
    return times


def product_rate(device, dtype: torch.dtype, budget: float) -> float:
    """Floating-point operations a second of the fastest (SIDE x SIDE) x (SIDE x SIDE)."""
    a, b = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    return 2 * SIDE**3 / min(seconds_of(lambda: a @ b, device, budget, least=10))


def start_as_cross4d_does(main):
    """Run ``main`` in a process whose freed memory is kept, as the command line starts; own settings stay."""
    if sys.platform.startswith("linux") and not os.environ.keys() & {*MEMORY, "GLIBC_TUNABLES"}:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **MEMORY})
    main()
