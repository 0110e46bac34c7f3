"""How the benchmarks time: ours and the peer in turn, medians."""

import statistics
import time


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
