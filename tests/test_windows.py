"""Windows of a video: where they lie, whose they are, and what a probe makes of them.

Claims proved:
1. Windows are spread evenly from a video's first frame to its last, each once; a video with room for one has one.
2. ``ClipDataset.windows`` shows exactly the frames of those windows, under ids of their own, and says whose each is.
3. A video has the class that its windows' mean probability favours; with one window a video nothing changes.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cross4d_lib import load_dataset
from cross4d_lib.clips import frame_indices, window_starts
from cross4d_lib.errors import ConfigError
from cross4d_lib.evaluation.probes import leave_subjects_out, voted


@given(st.integers(1, 90), st.integers(1, 30), st.integers(1, 3), st.integers(1, 9))
def test_windows_are_spread_evenly_and_stay_inside(available, frames, stride, windows):
    starts, room = window_starts(available, frames, stride, windows), available - (frames - 1) * stride - 1
    if room < 1 or windows == 1:
        assert starts == [None]
        return
    assert starts[0] == 0 and starts[-1] == room and len(starts) == min(windows, room + 1)
    assert starts == sorted(set(starts)) and np.ptp(np.diff(starts)) <= 1
    for start in starts:
        indices, repeated = frame_indices(available, frames, stride, start)
        assert repeated == 0 and indices.tolist() == [start + stride * f for f in range(frames)]
    assert window_starts(available, frames, "uniform", windows) == [None]


def test_a_dataset_of_windows_shows_the_windows():
    clips = load_dataset("synthetic-actions", "train", frames=4, points=32, stride=2, limit=3)
    windows = clips.windows(3)
    assert len(windows) == 9 and windows.videos.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(set(windows.ids)) == 9 and windows.labels.tolist() == np.repeat(clips.labels, 3).tolist()
    assert windows.fingerprint() != clips.fingerprint() and clips.videos.tolist() == [0, 1, 2]
    for k, window in enumerate(windows):
        video = clips.source.read(clips.entries[k // 3])
        start = window_starts(len(video.frames), 4, 2, 3)[k % 3]
        assert window.frame_indices.tolist() == frame_indices(len(video.frames), 4, 2, start)[0].tolist()
        assert window.id == windows.ids[k]
    assert np.array_equal(windows[4].points, clips.windows(3)[4].points)
    assert clips.windows(1).ids == clips.ids
    with pytest.raises(ConfigError, match="count=0"):
        clips.windows(0)


def test_a_video_has_the_class_its_windows_favour_together():
    """Three windows of one video, two of which say class 0 a little and one class 1 for sure: the mean says 1."""
    said = np.array([[0.55, 0.45], [0.55, 0.45], [0.0, 1.0], [0.9, 0.1]])
    found = voted(said, np.array([1, 1, 1, 0]), np.array([7, 7, 7, 3]))
    assert found.predictions.tolist() == [0, 1] and found.labels.tolist() == [0, 1]  # in the order of the videos
    assert voted(said, np.array([1, 1, 1, 0]), None).predictions.tolist() == [0, 0, 1, 0]


def test_left_out_subjects_are_scored_video_by_video():
    videos = np.repeat(np.arange(24), 3)  # of four subjects, three windows each
    labels, names = videos % 3, [f"s{v // 6}" for v in videos]
    dice = np.random.default_rng(0)
    features = torch.tensor(dice.normal(size=(72, 6)) + 2.0 * np.eye(3, 6)[labels], dtype=torch.float32)
    by_video = leave_subjects_out(features, labels, names, 0, videos)
    assert all(len(result.predictions) == 24 for result in by_video.values())
    assert by_video["linear"].subjects == names[::3] and (by_video["linear"].labels == labels[::3]).all()
