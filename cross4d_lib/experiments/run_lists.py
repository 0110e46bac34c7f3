"""Lists of runs, from few parts: a profile in, specs out. ``artifacts`` says which list feeds which table."""

from __future__ import annotations

from collections.abc import Callable

from ..datasets import load_source
from ..encoders import encoder_config
from ..errors import Cross4DError
from ..pretexts import CONTROLS
from ..teachers import CONTROL_TEACHERS
from ..teachers.provenance import UNTRAINED
from .profiles import PROFILES, ROLES, Profile, clip_settings
from .spec import RunSpec, build_spec

Runs = Callable[[Profile], list[RunSpec]]
SPLITS = ("train", "test")


# ------------------------------------------------------------------------------------------------ datasets of a profile


def is_present(dataset: str) -> bool:
    """Are videos of the dataset on this machine?"""
    try:
        return bool(load_source(dataset).entries(None))
    except Cross4DError:
        return False


def main_dataset(profile: Profile) -> str:
    """The profile's dataset when its files are there, else its embedded fallback. Raises DataError when there is
    neither."""
    if profile.fallback is None:
        load_source(profile.dataset).entries(None)
        return profile.dataset
    return profile.dataset if is_present(profile.dataset) else profile.fallback


def role_dataset(profile: Profile, role: str) -> str:
    """The dataset that plays a role of ROLES in a profile: the first of its candidates that is there, "" when none is.

    Where rows are shown, a lone candidate is taken whether or not its files are there: it is the one that has rows.
    """
    candidates = profile.roles.get(role, ())
    if profile.shown and len(candidates) == 1:
        return candidates[0]
    return next((name for name in candidates if is_present(name)), "")


def identity_splits(dataset: str) -> tuple[str, str]:
    """The splits that share no individual, where a dataset has them beside its own."""
    return ("train-identities", "test-identities") if "train-identities" in load_source(dataset).splits else SPLITS


def segmentation_datasets(profile: Profile) -> list[tuple[str, tuple[str, str]]]:
    """(dataset, splits) of the segmentation tables: hands and objects as in the paper, and the parts of animals (ours),
    where no animal of the test clips is in the training clips."""
    hands, animals = role_dataset(profile, "hands"), role_dataset(profile, "animals")
    found = [(hands, SPLITS)] if hands else []
    return found + ([(animals, identity_splits(animals))] if animals and load_source(animals).point_classes else [])


# ------------------------------------------------------------------------------------------------ runs, from few parts


def each(
    *ways: str | tuple[str, dict],
    data: Callable[[Profile], str] = main_dataset,
    seeds: str = "seeds",
    target: Callable[[str], str] = lambda dataset: dataset,
    **common,
) -> Runs:
    """Every way with every seed on a dataset of the profile; nothing where the profile has no such dataset.

    ways : a pretext, or a pretext and what differs from the profile's run of it, by path (``build_spec``). seeds : the
    field of Profile that lists them. target : the dataset measured on.
    """

    def runs(profile: Profile) -> list[RunSpec]:
        if not (dataset := data(profile)):
            return []
        pairs = [(pair, {}) if isinstance(pair, str) else pair for pair in ways]
        common_changes = {"task.data.dataset": target(dataset), **common}
        return [
            build_spec(profile, dataset, pretext, seed, **common_changes | changes)
            for seed in getattr(profile, seeds)
            for pretext, changes in pairs
        ]

    return runs


def joined(*parts: Runs) -> Runs:
    """The runs of several parts, in order."""
    return lambda profile: [spec for part in parts for spec in part(profile)]


def role(name: str) -> Callable[[Profile], str]:
    return lambda profile: role_dataset(profile, name)


TRIO = ("random", "global", "dense")
BEST_GLOBAL = ("global", {"pretext.summary": "mean", "pretext.variance_weight": 0.0})
UNCENTRED = ("dense", {"pretext.centre": False})


def granularity(profile: Profile) -> list[RunSpec]:
    """Table 1, and beside it what tells why: the best global we found, dense as the paper writes it (targets not
    centred), and dense from an untrained teacher of the same patches."""
    twin = ("dense", {"targets.teacher": f"{profile.teacher}{UNTRAINED}"})
    return each("random", "global", BEST_GLOBAL, UNCENTRED, "dense", twin)(profile)


def under(teacher: str) -> list[tuple[str, dict]]:
    """Global and dense under another teacher."""
    return [(pretext, {"targets.teacher": teacher}) for pretext in ("global", "dense")]


def transfer_runs(profile: Profile) -> list[RunSpec]:
    """Tables 5 and 12: dense on each source, probed on each target, and the random encoder on each target."""
    main, animals, people = main_dataset(profile), role_dataset(profile, "animals"), role_dataset(profile, "people")
    sources = [dataset for dataset in (main, animals, people) if dataset]
    targets = [*sources, *([f"{animals}-actions"] if animals else [])]
    return [
        build_spec(profile, source, "dense", seed, **{"task.data.dataset": target})
        if source
        else build_spec(profile, target, "random", seed)
        for seed in profile.task_seeds
        for source in ("", *sources)
        for target in targets
    ]


def per_point(task: str, *ways: tuple[str, str]) -> Runs:
    """A task on every segmentation dataset. ways : (pretrained "here" or on the "main" dataset, pretext)."""

    def runs(profile: Profile) -> list[RunSpec]:
        found = []
        for dataset, (learned_from, split) in segmentation_datasets(profile):
            data = {"dataset": dataset, "split": split}
            sources = {"here": dataset, "main": main_dataset(profile)}
            found += [
                build_spec(
                    profile,
                    sources[where],
                    pretext,
                    seed,
                    task={"name": task, "learned_from": learned_from, "data": data},
                )
                for seed in profile.task_seeds
                for where, pretext in ways
            ]
        return found

    return runs


def correspondence_runs(profile: Profile) -> list[RunSpec]:
    """Table 16 on the animals' test clips, 16 frames in a row for its gaps; dense also from the main dataset."""
    if not (dataset := role_dataset(profile, "animals")):
        return []
    clip = {} if clip_settings(profile, dataset)["frames"] >= 16 else {"frames": 16, "stride": 1}
    task = {"name": "correspondence", "data": {"dataset": dataset, **clip}}
    ways = (*((dataset, pretext) for pretext in TRIO), (main_dataset(profile), "dense"))
    return [
        build_spec(profile, source, pretext, seed, task=task) for seed in profile.task_seeds for source, pretext in ways
    ]


def coverage_runs(profile: Profile) -> list[RunSpec]:
    """Table 15's other half: the coverage of each dataset's training clips, at the profile's clip size and at the
    paper's."""
    played = {main_dataset(profile): "msr-action3d"} | {role_dataset(profile, name): own for name, own in ROLES.items()}
    return [
        build_spec(profile, dataset, "none", 0, task="coverage", data=size)
        for dataset, own in played.items()
        if dataset
        for size in ({}, clip_settings(PROFILES["paper"], own))
    ]


def paper_size_runs(profile: Profile) -> list[RunSpec]:
    """Table 1 at the paper's clip and encoder size (Tables 8, 9), trained for ``paper_size_epochs``."""
    if not profile.paper_size_epochs:
        return []
    size, defaults = PROFILES["paper"], encoder_config("point4d")
    parts = {
        **{f"data.{name}": getattr(size, name) for name in ("frames", "points", "stride")},
        "encoder": {name: getattr(defaults, name) for name in profile.encoder},
        "targets.dim": size.dim,
        "training": {"epochs": profile.paper_size_epochs, "batch": 8},  # a batch of 16 takes 8 GB
    }
    return each("random", "global", UNCENTRED, "dense", **parts)(profile)


def teacher_runs(profile: Profile) -> list[RunSpec]:
    """Table 2: random, and global and dense from each of the profile's teachers."""
    return each("random", *(way for name in profile.teachers for way in under(name)))(profile)


def modality_runs(profile: Profile) -> list[RunSpec]:
    """Table 18's column for Point4D: Table 2's runs but for dense."""
    return [spec for spec in teacher_runs(profile) if spec.pretext_name != "dense"]


def control_runs(profile: Profile) -> list[RunSpec]:
    """Ours: Table 1's rows, and dense with the target alone changed, once in every way."""
    ways = [("dense", {"targets.teacher": name}) for name in CONTROL_TEACHERS]
    ways += [("control", {"pretext.control": name}) for name in CONTROLS]
    return granularity(profile) + each(*ways)(profile)


def calibration_runs(profile: Profile) -> list[RunSpec]:
    """Ours: the encoder without training, probed in several ways, on the profile's clips and on those of its
    ``calibration``."""
    clips = [(profile.frames, profile.points, profile.stride), *profile.calibration]
    paths = ("data.frames", "data.points", "data.stride")
    return joined(*(each("random", task="calibration", **dict(zip(paths, clip))) for clip in clips))(profile)


def factor_runs(profile: Profile) -> list[RunSpec]:
    """Ours: one factor at a time around the profile's dense and global, each training subject left out in turn. Beside
    a factor of the encoder or the clip stands the random encoder that has it, too."""
    clip = {"data.stride": "uniform"} if profile.stride != "uniform" else {"data.stride": 1}
    both = [{}, {"encoder.motion": 4}, clip]
    dense = [{"targets.visibility": "pixel"}, {"pretext.centre": False}, {"pretext.variance_weight": 0.0}]
    dense += [{"targets.teacher": name} for name in profile.teachers if name != profile.teacher]
    options = {"pretext.summary": "mean"}, {"pretext.variance_weight": 0.0}
    ways = [(pretext, changes) for changes in both for pretext in ("random", "dense")]
    ways += [("dense", changes) for changes in dense]
    ways += [("global", changes) for changes in ({}, *options, options[0] | options[1])]
    return each(*ways, seeds="factor_seeds", **{"task.data.split": "train"})(profile)


def first_seed(runs: Runs) -> Runs:
    """A figure shows one encoder of each kind: the first seed's."""
    return lambda profile: [spec for spec in runs(profile) if spec.seed == profile.task_seeds[0]]
