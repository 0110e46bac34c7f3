"""One setting at a time around a profile's dense run: what may stand between it and the paper's accuracy (ours).

Only training subjects are looked at: every run is judged by the task ``pooling``, which leaves each of them out in
turn. The encoder has seen the clips of all of them, without labels. Beside every dense run stands the random encoder of
the same size on the same clips, for a setting that helps both has not made the targets better.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..encoders import Point4DConfig
from ..teachers import SHIPPED, UNTRAINED
from .old_spec import RunSpec, make_spec
from .profiles import Profile

BASE: dict[str, object] = {}  # no change


@dataclass(frozen=True)
class Point:
    """One run of the sweep: ``axis`` is what differs from the base, ``value`` how it stands here. base : it does not
    differ.

    random : the untrained encoder of the same size on the same clips.
    """

    axis: str
    value: str
    base: bool
    dense: RunSpec
    random: RunSpec


def sweep_axes(profile: Profile) -> dict[str, dict[str, dict]]:
    """What is varied: axis -> {value: changes of ``make_spec``}, values rising; the one without changes is the base."""
    student, size, frames, points, epochs = (
        Point4DConfig(**profile.encoder),
        profile.size,
        profile.frames,
        profile.points,
        profile.sweep_epochs,
    )
    encoder = lambda **changes: {"encoder": tuple(sorted({**profile.encoder, **changes}.items()))}
    third = round(size / 3 / 14) * 14  # pixels: a multiple of patches of 7 and 14 px
    strides = {str(stride): {"stride": stride} for stride in ("uniform", 1, 2)} | {str(profile.stride): BASE}
    return {
        "teacher": {
            f"{profile.teacher}{UNTRAINED}": {"teacher": f"{profile.teacher}{UNTRAINED}"},
            profile.teacher: BASE,
            **{name: {"teacher": name} for name in profile.teachers if name in SHIPPED and name != profile.teacher},
        },
        "render, pixels": {
            str(size - third): {"size": size - third},
            str(size): BASE,
            str(size + third): {"size": size + third},
        },
        "cameras": {"1": BASE, "2": {"cameras": 2}, "4": {"cameras": 4}, "8": {"cameras": 8}},
        "tokens a frame": {
            str(student.tokens // 2): encoder(tokens=student.tokens // 2),
            str(student.tokens): BASE,
            str(2 * student.tokens): encoder(tokens=2 * student.tokens),
        },
        "points a frame": {
            str(points // 2): {"points": points // 2},
            str(points): BASE,
            str(2 * points): {"points": 2 * points},
        },
        "frames": {
            str(frames // 2): {"frames": frames // 2},
            str(frames): BASE,
            str(2 * frames): {"frames": 2 * frames},
        },
        "stride": strides,
        "epochs": {
            str(epochs // 3): {"epochs": epochs // 3},
            str(epochs): BASE,
            str(3 * epochs): {"epochs": 3 * epochs},
        },
        "targets": {"not centred": {"centre": False}, "centred": BASE},
        "student's width": {
            str(student.dim // 2): encoder(dim=student.dim // 2),
            str(student.dim): BASE,
            str(2 * student.dim): encoder(dim=2 * student.dim, heads=2 * student.heads),
        },
    }


def sweep_points(profile: Profile, dataset: str) -> list[Point]:
    """Every point of the sweep on a dataset's training split, axis by axis, all seeds; each axis holds the base."""
    common = {"task": "pooling", "task_splits": ("train", "train")}
    points = []
    for axis, values in sweep_axes(profile).items():
        for value, changes in values.items():
            for seed in profile.sweep_seeds:
                dense = make_spec(
                    profile, dataset, "dense", seed, **common, **({"epochs": profile.sweep_epochs} | changes)
                )
                seen = {
                    name: change
                    for name, change in changes.items()
                    if name in ("encoder", "frames", "points", "stride")
                }
                points.append(
                    Point(
                        axis, value, not changes, dense, make_spec(profile, dataset, "random", seed, **common, **seen)
                    )
                )
    return points
