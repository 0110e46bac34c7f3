"""Checks of notebook 01, clips."""

import numpy as np

from ..clips import frame_indices
from ..datasets.depth_video import back_project
from . import close, exercise, whole


@exercise("01.window")
def first_frame(answer):
    """First frame of 24 with stride 1, centred in a video of 40 (an int)."""
    whole(answer, "frames: the first frame's index, counted from 0")
    wanted = int(frame_indices(40, 24, 1)[0][0])
    assert answer != wanted + 1, "Nearly. Frames are counted from 0."
    assert answer == wanted, "16 frames are left out. Half of them lie before the window."


@exercise("01.pixel_of")
def pixel_of(answer):
    """A function of a point (3,), rows and columns that returns (row, column) of the pixel it was seen in."""
    generator = np.random.default_rng(0)
    for rows, columns in ((4, 4), (240, 320), (480, 640)):
        for _ in range(20):
            row, column = int(generator.integers(rows)), int(generator.integers(columns))
            depth = np.zeros((rows, columns), np.uint16)
            depth[row, column] = generator.integers(500, 4000)
            given = tuple(int(number) for number in answer(back_project(depth, 0.001)[0], rows, columns))
            assert given != (column, row) or row == column, "You return (column, row); the answer is (row, column)."
            assert given == (row, column), (
                f"A point seen in row {row}, column {column} of {rows} x {columns} pixels gives {given}. Invert "
                "x = (u - columns / 2) z / f, scale f with the columns, and round to the nearest."
            )


@exercise("01.padded_share")
def padded_share(answer):
    """A function of video lengths, frames and stride that returns the share of videos that must be padded, 0..1."""
    generator = np.random.default_rng(1)
    for frames, stride in ((24, 1), (24, 2), (8, 3)):
        lengths = [*generator.integers(5, 80, 40).tolist(), (frames - 1) * stride + 1, (frames - 1) * stride]
        wanted = np.mean([frame_indices(length, frames, stride)[1] > 0 for length in lengths])
        hint = "It is a share, 0 to 1. The last frame of the window is (frames - 1) * stride after the first."
        close(f"With {frames} frames and stride {stride}", answer(lengths, frames, stride), wanted, hint)


@exercise("01.folds")
def folds(answer):
    """A function of the clips' subjects that returns [(train indices, test indices), ...], one pair a subject,
    sorted."""
    subjects = ["s03", "s01", "s03", "s02", "s01", "s10", "s03"]
    given, people = list(answer(subjects)), sorted(set(subjects))
    assert len(given) == len(people), f"There are {len(people)} subjects, so as many folds; yours are {len(given)}."
    for person, (train, test) in zip(people, given):
        train, test = sorted(map(int, train)), sorted(map(int, test))
        fold = f"In the fold of {person}"
        assert all(subjects[i] == person for i in test), f"{fold} others are tested. Are your folds sorted by subject?"
        assert not {subjects[i] for i in train} & {person}, f"{fold} {person} is on both sides."
        assert sorted(train + test) == list(range(len(subjects))), f"{fold} a clip is missing or counted twice."
