"""The embedded datasets: generated from a seed, nothing to download. One dataset a file, and the parts they share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...clips import Video
from ..base import Entry, frames_and_labels


def frame_by_frame(make_video: Callable[..., Video], entry: Entry, length: int) -> Video:
    """``make_video(*entry.handle)``, each of its ``length`` frames generated when it is asked for."""

    def frame(f: int) -> tuple[np.ndarray, np.ndarray]:
        video = make_video(*entry.handle, frames=[f])
        return video.frames[0], video.point_labels[0]

    points, labels = frames_and_labels(frame, length)
    return Video(points, entry.id, entry.label, entry.subject, labels)


def generated_fingerprint(version: str, entry: Entry) -> str:
    """What identifies a generated video: its generator's version and its id."""
    return f"{version}/{entry.id}"
