"""One setting at a time around a profile's dense run (ours). Beside every dense run stands the random encoder of the
same size on the same clips: a setting that helps both has not made the targets better."""

from __future__ import annotations

from dataclasses import dataclass

from ..encoders import encoder_config
from ..teachers import SHIPPED
from ..teachers.provenance import UNTRAINED
from .profiles import Profile
from .run_lists import main_dataset
from .spec import RunSpec, build_spec


@dataclass(frozen=True)
class Point:
    """One run of the sweep: ``axis`` is what differs from the base, ``value`` how it stands here. base : nothing does.
    random : the untrained encoder of the same size on the same clips."""

    axis: str
    value: str
    base: bool
    dense: RunSpec
    random: RunSpec


def sweep_axes(profile: Profile) -> dict[str, dict[str, dict]]:
    """What is varied: axis -> {value: changes of ``build_spec``}, rising; the one without any is the base."""
    student = encoder_config("point4d", **profile.encoder)
    third = round(profile.size / 3 / 14) * 14  # pixels: a multiple of patches of 7 and 14 px
    around = lambda base: (base // 2, base, 2 * base)
    size, epochs, teacher = profile.size, profile.sweep_epochs, profile.teacher
    teachers = (name for name in profile.teachers if name in SHIPPED and name != teacher)
    values = {  # axis -> path, values, base
        "teacher": ("targets.teacher", (f"{teacher}{UNTRAINED}", teacher, *teachers), teacher),
        "render, pixels": ("targets.size", (size - third, size, size + third), size),
        "cameras": ("targets.cameras", (1, 2, 4, 8), 1),
        "tokens a frame": ("encoder.tokens", around(student.tokens), student.tokens),
        "points a frame": ("data.points", around(profile.points), profile.points),
        "frames": ("data.frames", around(profile.frames), profile.frames),
        "stride": ("data.stride", ("uniform", 1, 2), profile.stride),
        "epochs": ("training.epochs", (epochs // 3, epochs, 3 * epochs), epochs),
        "centred targets": ("pretext.centre", (False, True), True),
        "student's width": ("encoder.dim", around(student.dim), student.dim),
    }
    axes = {
        axis: {str(value): {} if value == base else {path: value} for value in several}
        for axis, (path, several, base) in values.items()
    }
    axes["student's width"][str(2 * student.dim)]["encoder.heads"] = 2 * student.heads
    return axes


def sweep_points(profile: Profile) -> list[Point]:
    """Every point of the sweep, axis by axis, all seeds; each axis holds the base. Only training subjects are looked
    at: the task ``pooling`` leaves each of them out in turn."""
    common = {
        "task": {"name": "pooling", "learned_from": "train", "data": {"split": "train"}},
        "training": {"epochs": profile.sweep_epochs},
    }
    build = lambda pretext, seed, changes: build_spec(
        profile, main_dataset(profile), pretext, seed, **common, **changes
    )
    return [
        Point(axis, value, not changes, build("dense", seed, changes), build("random", seed, changes))
        for axis, values in sweep_axes(profile).items()
        for value, changes in values.items()
        for seed in profile.sweep_seeds
    ]


def sweep_runs(profile: Profile) -> list[RunSpec]:
    return [spec for point in sweep_points(profile) for spec in (point.random, point.dense)]
