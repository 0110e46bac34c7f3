"""Checks of notebook 07, teachers."""

import torch

from ..teachers.published import nearest_multiple
from ..teachers.video import window_starts
from . import exercise, shaped


@exercise("07.render_size")
def render_size(answer):
    """A function of patch and wished size in pixels: the nearest multiple of the patch, at least one."""
    for patch, near in ((14, 126), (16, 126), (16, 100), (7, 128), (32, 10)):
        wanted, given = nearest_multiple(patch, near), answer(patch, near)
        assert given % patch == 0, f"{given} px are not whole patches of {patch}."
        assert given > 0, "An image of 0 px shows nothing: one patch at least."
        assert given == wanted, (
            f"For patches of {patch} and {near} px the nearest is {wanted}, yours is {given}. Round, do not floor."
        )


@exercise("07.on_grid")
def on_grid(answer):
    """A function of tokens (B, 1 + R + h*w, D), registers R, size and patch: (B, h, w, D)."""
    for registers, size, patch in ((0, 42, 14), (4, 64, 16)):
        grid = size // patch
        features = torch.arange(2 * grid * grid * 3, dtype=torch.float32).view(2, grid, grid, 3)
        tokens = torch.cat([torch.full((2, 1 + registers, 3), -1.0), features.flatten(1, 2)], 1)
        given = answer(tokens, registers, size, patch)
        shaped(given, features.shape)
        assert not (given < 0).any(), "A class token or a register is among your patches: skip 1 + registers."
        assert torch.equal(given, features), "The order is wrong. Patches come row by row, from left to right."


@exercise("07.of_frames")
def of_frames(answer):
    """A function of temporal tokens (T', h, w, D), tubelet and frames: (T, h, w, D), frame f from token f //
    tubelet."""
    for count, tubelet, frames in ((3, 2, 6), (3, 2, 5), (2, 4, 7), (1, 2, 1)):
        tokens = torch.arange(count, dtype=torch.float32).view(-1, 1, 1, 1).expand(count, 2, 2, 3)
        given = answer(tokens, tubelet, frames)
        shaped(given, (frames, 2, 2, 3))
        taken = given[:, 0, 0, 0].int().tolist()
        assert taken == [f // tubelet for f in range(frames)], (
            f"Tubelets of {tubelet}: frame f is token f // {tubelet}; yours are {taken}."
        )


@exercise("07.windows")
def windows(answer):
    """A function of frames and window length: first frames of the windows, the last of which ends with the clip."""
    for frames, length in ((16, 16), (24, 16), (32, 16), (10, 4)):
        given, wanted = list(answer(frames, length)), window_starts(frames, length)
        case = f"{frames} frames in windows of {length}, yours start at {given}:"
        assert all(0 <= start <= frames - length for start in given), f"{case} one leaves the clip."
        left_out = set(range(frames)) - {f for start in given for f in range(start, start + length)}
        assert not left_out, f"{case} frames {sorted(left_out)} are in none."
        hint = "One after another, no more than are needed; the last ends with the clip."
        assert given == wanted, f"{case} it is {wanted}. {hint}"
