"""Small things that several test files share. Everything is made here, in seconds, and nothing outside pytest's folder
is written.

A fixture that a test may write to is made anew for it; what is only read (clips, teacher, a finished store) is made
once.
"""

import multiprocessing
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cross4d_lib import Point4D, load_dataset, load_teacher

FRAMES, POINTS, SIZE, DIM = 3, 96, 42, 12  # of a clip, of its render (3 x 3 patches of 14 px), and d_p
TINY = {"tokens": 6, "dim": 16, "depth": 1, "heads": 2, "neighbours": 8, "first_level": 2, "widths": (8, 16)}  # Point4D

DAMAGED = [100, pytest.param(1000, marks=pytest.mark.slow)]  # files that a reader meets: a look, and a thorough one

torch.set_num_threads(1)  # bit-for-bit claims hold for one thread count; and threads only slow such small tensors down


def tiny_encoder(seed: int = 0, **changes) -> Point4D:
    """A Point4D of some thousand parameters with the weights of ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Point4D(**{**TINY, **changes})


def damage(data, rng):
    """One of six accidents: flipped bits, flipped bits near the start, a cut, random bytes put in, bytes lost, a header
    number replaced."""
    data = bytearray(data)
    accident = rng.randrange(6)
    if accident < 2:
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data) if accident else min(len(data), 240))] ^= 1 << rng.randrange(8)
    elif accident == 2:
        del data[rng.randrange(len(data)) :]
    elif accident == 3:
        at = rng.randrange(len(data) + 1)
        data[at:at] = rng.randbytes(rng.randint(1, 64))
    elif accident == 4:
        at = rng.randrange(len(data))
        del data[at : at + rng.randint(1, 64)]
    else:
        number = rng.choice([0, 1, 2, 7, 2**16, 2**31 - 1, 2**32 - 1, rng.getrandbits(32), rng.randrange(4096)])
        struct.pack_into("<I", data, 4 * rng.randrange(min(len(data), 240) // 4), number)
    return bytes(data)


def set_environment(values: dict) -> None:
    """For a process that must have it before it imports ``cross4d_lib.experiments``, which reads $CROSS4D_RESULTS
    once."""
    os.environ.update(values)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """$CROSS4D_CACHE, empty, for every test."""
    monkeypatch.setenv("CROSS4D_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    """$CROSS4D_RESULTS, empty, here and in processes started from here."""
    folder = tmp_path / "results"
    monkeypatch.setenv("CROSS4D_RESULTS", str(folder))
    for module in ("cross4d_lib.experiments", "cross4d_lib.experiments.run", "cross4d_lib.report.tables"):
        __import__(module)
        monkeypatch.setattr(sys.modules[module], "RESULTS", folder)
    return folder


@pytest.fixture(scope="session")
def clips():
    """Six clips of synthetic-actions, one action each: a ClipDataset with its clips in memory."""
    dataset = load_dataset("synthetic-actions", "train", frames=FRAMES, points=POINTS, stride="uniform", limit=6)
    assert [len(dataset[i].points) for i in range(6)] == [FRAMES] * 6
    return dataset


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory) -> Path:
    """A DINOv2 of two layers with random weights, saved as transformers saves them."""
    from transformers import Dinov2Config, Dinov2Model

    folder = tmp_path_factory.mktemp("teacher")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Dinov2Model(
            Dinov2Config(
                hidden_size=24,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=SIZE,
                patch_size=14,
                foreground_tokens_only=True,
            )
        )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def teacher(teacher_folder):
    """The saved teacher, in float32."""
    return load_teacher(str(teacher_folder), dtype=torch.float32)


@pytest.fixture(scope="session")
def finished(clips, teacher, tmp_path_factory):
    """The clips' targets, built once and undisturbed. Read only: copy its folder to damage it."""
    from cross4d_lib import build_targets

    return build_targets(
        clips, teacher, DIM, SIZE, encoder=tiny_encoder(), cache=tmp_path_factory.mktemp("finished"), progress=False
    )


@pytest.fixture(scope="session")
def processes():
    """Starts processes in a fraction of a second: they are forked from a clean one that has imported the library
    once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["cross4d_lib.teachers.image", "cross4d_lib.training", "cross4d_lib.evaluation", "sklearn.linear_model"]
    )
    return context


@pytest.fixture
def depth_videos(tmp_path, monkeypatch) -> Path:
    """A folder in MSR-Action3D's form with 4 actions x 6 subjects, 5 frames of 32 x 24 pixels:
    $CROSS4D_DATA/msr-action3d.

    A slanted patch moves left, right, up or down: which of them is the action.
    """
    folder = tmp_path / "data" / "msr-action3d"
    folder.mkdir(parents=True)
    for action, (right, down) in enumerate([(-1, 0), (1, 0), (0, -1), (0, 1)], start=1):
        for subject in (1, 2, 3, 6, 7, 8):
            depth = np.zeros((5, 24, 32), "<i4")
            for f in range(5):
                row, column = 6 + down * f, 10 + subject % 3 + right * f
                depth[f, row : row + 11, column : column + 10] = 380 + 20 * subject + 7 * np.arange(11)[:, None] + f
            (folder / f"a{action:02}_s{subject:02}_e01_sdepth.bin").write_bytes(
                struct.pack("<3i", 5, 32, 24) + depth.tobytes()
            )
    monkeypatch.setenv("CROSS4D_DATA", str(folder.parent))
    return folder
