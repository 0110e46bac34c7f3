"""Frames that are made when they are asked for: a clip takes few of a video's, and making one costs milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

MakeFrame = Callable[..., tuple[np.ndarray, np.ndarray]]


class LazyFrames(Sequence):
    """The frames of a video (part 0) or their labels (part 1).

    make : ``make(*handle, f)`` gives frame f as (points (n, 3), labels (n,)); it should remember its last answers,
    because a frame's labels are asked for right after its points. length : how many frames there are.
    """

    def __init__(self, make: MakeFrame, handle: tuple, part: int, length: int):
        self.make, self.handle, self.part, self.length = make, handle, part, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, f):
        if isinstance(f, slice):
            return [self[i] for i in range(*f.indices(self.length))]
        if not -self.length <= f < self.length:
            raise IndexError(f"frame {f} of {self.length}")
        return self.make(*self.handle, int(f) % self.length)[self.part]
