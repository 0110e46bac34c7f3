"""What several processes must share so that they compute the loss of one: the rows that a mean is taken over."""

from __future__ import annotations

import torch
import torch.distributed as dist


def processes() -> int:
    """How many processes train together; 1 outside of a distributed run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def all_rows(rows: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, one process after the other: (n, ...) -> (sum of n, ...), with gradients.

    Every process then computes the same loss over the whole batch. The gradient that flows back to a process is that of
    all processes' losses, so their mean over processes (DistributedDataParallel) is the gradient of one loss.
    """
    world = processes()
    if world == 1:
        return rows
    from torch.distributed.nn.functional import all_gather

    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world)]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    sizes = [int(count) for count in counts]
    padded = torch.cat([rows, rows.new_zeros(max(sizes) - len(rows), *rows.shape[1:])])
    return torch.cat([part[:size] for part, size in zip(all_gather(padded), sizes)])
