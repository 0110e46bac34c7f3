"""Which runs feed which table and figure, and which notebook shows it. The one place that knows.

Tables and figures of the paper that are not built yet are listed with the notebook planned for them and
``ready=False``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..datasets import load_source
from ..errors import Cross4DError
from ..pretexts import CONTROLS
from ..teachers import CONTROL_TEACHERS, IN_DOMAIN_PREFIX, SHIPPED, UNTRAINED
from .old_spec import SPLITS, RunSpec, make_spec
from .profiles import PROFILES, ROLES, Profile, clip_settings
from .sweep import sweep_points


@dataclass(frozen=True)
class Artifact:
    """A table or figure: kind ("table" or "figure"), title, the notebook that shows it, whether it is built, and its
    runs."""

    kind: str
    title: str
    notebook: str
    ready: bool = False
    runs: Callable[[Profile], list[RunSpec]] = lambda profile: []


def main_dataset(profile: Profile) -> str:
    """The profile's dataset when its files are there, else its embedded fallback. Raises DataError when there is
    neither."""
    try:
        if load_source(profile.dataset).entries(None):
            return profile.dataset
    except Cross4DError:
        if profile.fallback is None:
            raise
    return profile.fallback or profile.dataset


def role_dataset(profile: Profile, role: str) -> str:
    """The dataset that plays a role of ROLES in a profile: the first of its candidates that is there, "" when none is.

    Where rows are shown, a lone candidate is taken whether or not its files are there: it is the one that has rows.
    """
    candidates = profile.roles.get(role, ())
    if profile.shown and len(candidates) == 1:
        return candidates[0]
    return next((name for name in candidates if is_present(name)), "")


def is_present(dataset: str) -> bool:
    """Are videos of the dataset on this machine?"""
    try:
        return bool(load_source(dataset).entries(None))
    except Cross4DError:
        return False


def identity_splits(dataset: str) -> tuple[str, str]:
    """The splits that share no individual, where a dataset has them beside its own."""
    return ("train-identities", "test-identities") if "train-identities" in load_source(dataset).splits else SPLITS


def granularity_runs(profile: Profile) -> list[RunSpec]:
    """Table 1 and our control beside it: random, global, dense, and dense from the untrained teacher; every seed."""
    dataset = main_dataset(profile)
    rows = [(pretext, {}) for pretext in ("random", "global", "dense")]
    if profile.teacher in SHIPPED:
        rows.append(("dense", {"teacher": f"cross4d-tiny{UNTRAINED}"}))
    return [
        make_spec(profile, dataset, pretext, seed, **changes) for seed in profile.seeds for pretext, changes in rows
    ]


def role_runs(profile: Profile, role: str) -> list[RunSpec]:
    """The rows of Table 1 for another dataset than the main one: random, global, dense; every seed."""
    dataset = role_dataset(profile, role)
    return (
        [
            make_spec(profile, dataset, pretext, seed)
            for seed in profile.task_seeds
            for pretext in ("random", "global", "dense")
        ]
        if dataset
        else []
    )


def action_runs(profile: Profile) -> list[RunSpec]:
    """Ours, beside DT4D's row of Table 1: the same encoders asked for the ACTION of animals that the probe has never
    seen."""
    dataset = role_dataset(profile, "animals")
    return (
        [
            make_spec(profile, dataset, pretext, seed, target=f"{dataset}-actions")
            for seed in profile.task_seeds
            for pretext in ("random", "global", "dense")
        ]
        if dataset
        else []
    )


def transfer_runs(profile: Profile) -> list[RunSpec]:
    """Tables 5 and 12: dense on each source, probed on each target, and the random encoder on each target; every
    seed."""
    present = [
        dataset
        for dataset in (main_dataset(profile), role_dataset(profile, "animals"), role_dataset(profile, "people"))
        if dataset
    ]
    targets = [
        *present,
        *(f"{dataset}-actions" for dataset in present[1:2] if dataset == role_dataset(profile, "animals")),
    ]
    random = [make_spec(profile, target, "random", seed) for seed in profile.task_seeds for target in targets]
    return random + [
        make_spec(profile, source, "dense", seed, target=target)
        for seed in profile.task_seeds
        for source in present
        for target in targets
    ]


def segmentation_datasets(profile: Profile) -> list[tuple[str, tuple[str, str]]]:
    """(dataset, splits) of the segmentation tables: hands and objects as in the paper, and the parts of animals (ours),
    where no animal of the test clips is in the training clips."""
    hands, animals = role_dataset(profile, "hands"), role_dataset(profile, "animals")
    found = [(hands, SPLITS)] if hands else []
    return found + ([(animals, identity_splits(animals))] if animals and load_source(animals).point_classes else [])


def segmentation_runs(profile: Profile) -> list[RunSpec]:
    """Table 6: frozen encoders, zero-shot from the main dataset and in-domain; every seed."""
    main = main_dataset(profile)
    return [
        make_spec(profile, source, pretext, seed, target=dataset, task="segmentation", task_splits=splits)
        for dataset, splits in segmentation_datasets(profile)
        for seed in profile.task_seeds
        for source, pretext in (
            (dataset, "random"),
            (main, "global"),
            (main, "dense"),
            (dataset, "global"),
            (dataset, "dense"),
        )
    ]


def readability_runs(profile: Profile) -> list[RunSpec]:
    """Ours, beside Table 6: what in-domain dense targets, their student and the mere place tell of a point's class;
    every seed."""
    return [
        make_spec(profile, dataset, "dense", seed, task="readability", task_splits=splits)
        for dataset, splits in segmentation_datasets(profile)
        for seed in profile.task_seeds
    ]


def tuning_runs(profile: Profile) -> list[RunSpec]:
    """Table 17: end to end from scratch and from dense, in-domain; every seed."""
    return [
        make_spec(profile, dataset, pretext, seed, task="fine-tuning", task_splits=splits)
        for dataset, splits in segmentation_datasets(profile)
        for seed in profile.task_seeds
        for pretext in ("random", "dense")
    ]


def correspondence_runs(profile: Profile) -> list[RunSpec]:
    """Table 16 on the animals' test clips, 16 frames in a row for the gaps: random, global, dense, and dense from the
    main dataset."""
    dataset, main = role_dataset(profile, "animals"), main_dataset(profile)
    if not dataset:
        return []
    clip = {} if clip_settings(profile, dataset)["frames"] >= 16 else {"frames": 16, "stride": 1}
    return [
        make_spec(profile, source, pretext, seed, target=dataset, task="correspondence", task_clip=clip)
        for seed in profile.task_seeds
        for source, pretext in ((dataset, "random"), (dataset, "global"), (dataset, "dense"), (main, "dense"))
    ]


def camera_runs(profile: Profile) -> list[RunSpec]:
    """Table 15: dense with targets from 1, 2 and 4 cameras, every seed."""
    dataset = main_dataset(profile)
    return [
        make_spec(profile, dataset, "dense", seed, cameras=cameras)
        for seed in profile.task_seeds
        for cameras in (1, 2, 4)
    ]


def merge_runs(profile: Profile) -> list[RunSpec]:
    """Ours, beside Table 15: are more cameras more targets, or other ones? One camera, four, and four of which each
    token believes the first that sees it; every seed."""
    dataset = main_dataset(profile)
    return [
        make_spec(profile, dataset, "dense", seed, **changes)
        for changes in ({}, {"cameras": 4, "merge": "first"}, {"cameras": 4})
        for seed in profile.task_seeds
    ]


def coverage_runs(profile: Profile) -> list[RunSpec]:
    """Table 15's other half: the coverage of each dataset's training clips, at the profile's clip size and at the
    paper's."""
    played = {
        main_dataset(profile): "msr-action3d",
        **{role_dataset(profile, role): own for role, own in ROLES.items()},
    }
    sizes = [
        (dataset, size)
        for dataset, own in played.items()
        if dataset
        for size in ({}, clip_settings(PROFILES["paper"], own))
    ]
    return [make_spec(profile, dataset, "none", 0, task="coverage", **size) for dataset, size in sizes]


def standardisation_runs(profile: Profile) -> list[RunSpec]:
    """Table 11 reads the same runs: every row holds all three probes."""
    return [
        spec
        for spec in granularity_runs(profile)
        if spec.pretext in ("random", "dense") and "untrained" not in spec.teacher
    ]


def global_target_runs(profile: Profile) -> list[RunSpec]:
    """Ours: the class token or the patch mean as global target, every seed."""
    dataset = main_dataset(profile)
    return [
        make_spec(profile, dataset, "global", seed, summary=summary)
        for summary in ("class", "mean")
        for seed in profile.seeds
    ]


def centring_runs(profile: Profile) -> list[RunSpec]:
    """Ours: dense with and without centred targets, every seed."""
    dataset = main_dataset(profile)
    return [
        make_spec(profile, dataset, "dense", seed, centre=centre) for centre in (True, False) for seed in profile.seeds
    ]


def variance_runs(profile: Profile) -> list[RunSpec]:
    """Table 14: dense with the variance term of Eq. 6 and without, every seed."""
    dataset = main_dataset(profile)
    return [
        make_spec(profile, dataset, "dense", seed, variance_weight=weight)
        for weight in (1.0, 0.0)
        for seed in profile.seeds
    ]


def paper_size_runs(profile: Profile) -> list[RunSpec]:
    """Ours: random, global and dense at the paper's clip and encoder size (Tables 8, 9), but one seed and few epochs.

    What two CPU cores can do of the paper's size in two hours, where no GPU is to be had. The teacher is the profile's.
    Only profiles with ``reach_epochs`` ask for it.
    """
    if not profile.reach_epochs:
        return []
    size = PROFILES["paper"]
    clip = {"frames": size.frames, "points": size.points, "stride": size.stride, "encoder": ()}
    trained = {"dim": size.dim, "epochs": profile.reach_epochs, "batch": 8}  # a batch of 16 takes 8 GB
    return [
        make_spec(profile, main_dataset(profile), pretext, 0, **clip, **trained)
        for pretext in ("random", "global", "dense")
    ]


def teacher_runs(profile: Profile) -> list[RunSpec]:
    """Table 2: random, and global and dense from each of the profile's teachers. Those we trained have every seed, as
    in Table 1, and so have their untrained twins; the other families the seeds of a task."""
    dataset = main_dataset(profile)
    seeds = lambda teacher: (
        profile.seeds
        if teacher.removesuffix(UNTRAINED) in SHIPPED or not teacher.endswith(UNTRAINED)
        else profile.task_seeds
    )
    random = [make_spec(profile, dataset, "random", seed) for seed in profile.seeds]
    return random + [
        make_spec(profile, dataset, pretext, seed, teacher=teacher)
        for teacher in profile.teachers
        for seed in seeds(teacher)
        for pretext in ("global", "dense")
    ]


def modality_runs(profile: Profile) -> list[RunSpec]:
    """Table 18's column for Point4D: the global runs of Table 2, from image and from video teachers."""
    return [spec for spec in teacher_runs(profile) if spec.pretext in ("random", "global")]


def global_variance_runs(profile: Profile) -> list[RunSpec]:
    """Ours: the variance term in the global loss, where its deviation is taken over the few clips of a batch; every
    seed."""
    dataset = main_dataset(profile)
    return [
        make_spec(profile, dataset, "global", seed, variance_weight=weight)
        for weight in (1.0, 0.0)
        for seed in profile.seeds
    ]


def control_profile(profile: Profile) -> Profile:
    """The profile at which targets are exchanged: its own ``controls`` (teacher, epochs) over what it is otherwise."""
    return replace(profile, **profile.controls)


def control_runs(profile: Profile) -> list[RunSpec]:
    """Ours: Table 1's rows, global on the patch mean, and dense with the target alone changed, once in every way; every
    seed.

    All at the size of ``control_profile``."""
    profile, dataset = control_profile(profile), main_dataset(profile)
    changes = (
        [("global", {"summary": "mean"})]
        + [("dense", {"teacher": name}) for name in CONTROL_TEACHERS]
        + [("dense", {"control": name}) for name in CONTROLS]
    )
    return granularity_runs(profile) + [
        make_spec(profile, dataset, pretext, seed, **change) for seed in profile.seeds for pretext, change in changes
    ]


def pooling_runs(profile: Profile) -> list[RunSpec]:
    """Ours: Table 1's kinds of encoder under the teacher of the controls, the tokens of a clip made one feature in
    three ways; every seed."""
    return [replace(spec, task="pooling") for spec in granularity_runs(control_profile(profile))]


def length_runs(profile: Profile) -> list[RunSpec]:
    """Ours: dense under the teacher of the controls, trained for a third, one and twice the profile's epochs, plainly
    and on augmented clips, random beside it; the first seed."""
    profile, dataset = control_profile(profile), main_dataset(profile)
    lengths = (profile.epochs // 3, profile.epochs, 2 * profile.epochs)
    dense = [
        make_spec(profile, dataset, "dense", profile.seeds[0], epochs=epochs, augmented=augmented)
        for augmented in (False, True)
        for epochs in lengths
    ]
    return [make_spec(profile, dataset, "random", profile.seeds[0]), *dense]


def together_runs(profile: Profile) -> list[RunSpec]:
    """Ours: dense under the teacher of the controls with one camera and with four, plainly and on augmented clips,
    random beside it; the seeds of a task."""
    profile, dataset = control_profile(profile), main_dataset(profile)
    ways = [{"cameras": cameras, "augmented": augmented} for augmented in (False, True) for cameras in (1, 4)]
    return [
        make_spec(profile, dataset, pretext, seed, **way)
        for seed in profile.task_seeds
        for pretext, way in (("random", {}), *(("dense", way) for way in ways))
    ]


def in_domain_runs(profile: Profile) -> list[RunSpec]:
    """Ours: global and dense under the teacher of the controls and under one that was trained on from it with the very
    clips the student is trained on (no label read), random beside them; every seed. Only profiles with ``in_domain``
    ask for it."""
    if not profile.in_domain:
        return []
    profile, dataset = control_profile(profile), main_dataset(profile)
    trained = [
        make_spec(profile, dataset, pretext, seed, teacher=teacher)
        for seed in profile.seeds
        for teacher in (profile.teacher, f"{IN_DOMAIN_PREFIX}{dataset}")
        for pretext in ("global", "dense")
    ]
    return [make_spec(profile, dataset, "random", seed) for seed in profile.seeds] + trained


def sweep_runs(profile: Profile) -> list[RunSpec]:
    """Ours: one setting at a time around dense, each beside the random encoder of its size."""
    return [spec for point in sweep_points(profile, main_dataset(profile)) for spec in (point.random, point.dense)]


def example_runs(profile: Profile) -> list[RunSpec]:
    """Figure 2 shows one encoder of each kind: the first seed's."""
    return [
        spec for spec in granularity_runs(profile) if spec.seed == profile.seeds[0] and "untrained" not in spec.teacher
    ]


def first_seed(profile: Profile, runs: Callable[[Profile], list[RunSpec]]) -> list[RunSpec]:
    """A figure shows one encoder of each kind: the first seed's."""
    return [spec for spec in runs(profile) if spec.seed == profile.task_seeds[0]]


ARTIFACTS: dict[str, Artifact] = {
    "table01": Artifact("table", "Granularity: random, global, dense", "06_linear_probe", True, granularity_runs),
    "table02": Artifact("table", "Teacher x granularity", "07_teachers", True, teacher_runs),
    "table03": Artifact("table", "Backbone x granularity", "08_backbones"),
    "table04": Artifact("table", "Fine-tuning with fewer labels", "09_label_efficiency"),
    "table05": Artifact("table", "Transfer across datasets", "10_transfer", True, transfer_runs),
    "table06": Artifact("table", "Segmentation, frozen encoder", "11_segmentation", True, segmentation_runs),
    "table07": Artifact("table", "4D self-supervised methods", "13_other_pretexts"),
    "table08": Artifact("table", "Clip settings", "01_clips", True),
    "table09": Artifact("table", "Parameters and FLOPs", "04_point4d", True),
    "table10": Artifact("table", "Sensitivity", "14_ablations_and_robustness"),
    "table11": Artifact("table", "Feature standardisation in the probe", "06_linear_probe", True, standardisation_runs),
    "table12": Artifact("table", "Transfer, full matrix, every probe", "10_transfer", True, transfer_runs),
    "table13": Artifact("table", "Test-time corruption", "14_ablations_and_robustness"),
    "table14": Artifact("table", "The variance term", "05_pretrain", True, variance_runs),
    "table15": Artifact("table", "Cameras and coverage", "12_correspondence_and_cameras", True, camera_runs),
    "table16": Artifact(
        "table", "Correspondence over time", "12_correspondence_and_cameras", True, correspondence_runs
    ),
    "table17": Artifact("table", "Segmentation, fine-tuned", "11_segmentation", True, tuning_runs),
    "table18": Artifact("table", "Modality of the global teacher", "07_teachers", True, modality_runs),
    "table19": Artifact("table", "Latent forecasting", "13_other_pretexts"),
    "table20": Artifact("table", "Dense across backbones", "08_backbones"),
    "control_global_target": Artifact("table", "Ours: which global target", "05_pretrain", True, global_target_runs),
    "control_global_variance": Artifact(
        "table", "Ours: the variance term in the global loss", "05_pretrain", True, global_variance_runs
    ),
    "control_centring": Artifact("table", "Ours: centred targets or not", "05_pretrain", True, centring_runs),
    "control_animals": Artifact(
        "table", "Table 1's row for animals", "10_transfer", True, lambda profile: role_runs(profile, "animals")
    ),
    "control_animal_actions": Artifact(
        "table", "Ours: actions of animals never seen", "10_transfer", True, action_runs
    ),
    "control_people": Artifact(
        "table", "Table 1's row for NTU RGB+D 60", "10_transfer", True, lambda profile: role_runs(profile, "people")
    ),
    "control_readability": Artifact(
        "table", "Ours: a point's class in target, student and place", "11_segmentation", True, readability_runs
    ),
    "control_merge": Artifact(
        "table",
        "Ours: more targets, or other ones, from more cameras",
        "12_correspondence_and_cameras",
        True,
        merge_runs,
    ),
    "control_coverage": Artifact(
        "table", "Ours: coverage, splat radius and resolution", "12_correspondence_and_cameras", True, coverage_runs
    ),
    "control_targets": Artifact("table", "Ours: dense on other targets", "15_what_is_the_lever", True, control_runs),
    "control_pooling": Artifact(
        "table", "Ours: how the tokens of a clip become one feature", "15_what_is_the_lever", True, pooling_runs
    ),
    "control_sweep": Artifact("table", "Ours: one setting at a time", "15_what_is_the_lever", True, sweep_runs),
    "control_length": Artifact("table", "Ours: dense trained for longer", "15_what_is_the_lever", True, length_runs),
    "control_together": Artifact("table", "Ours: what helped, together", "15_what_is_the_lever", True, together_runs),
    "control_in_domain": Artifact("table", "Ours: a teacher of the same clips", "07_teachers", True, in_domain_runs),
    "control_paper_size": Artifact(
        "table", "Ours: the paper's clip and encoder size, few epochs", "06_linear_probe", True, paper_size_runs
    ),
    "figure01": Artifact("figure", "Method overview", "00_start_here", True),
    "figure02": Artifact(
        "figure", "Features as colours: input, dense, global, random", "06_linear_probe", True, example_runs
    ),
    "figure03": Artifact("figure", "The same across datasets", "10_transfer", True, example_runs),
    "figure04": Artifact(
        "figure",
        "Segmentation beside ground truth",
        "11_segmentation",
        True,
        lambda profile: first_seed(profile, segmentation_runs),
    ),
    "figure05": Artifact(
        "figure",
        "One motion in one PCA",
        "12_correspondence_and_cameras",
        True,
        lambda profile: first_seed(profile, correspondence_runs),
    ),
    "figure06": Artifact("figure", "Label efficiency", "09_label_efficiency"),
    "figure07": Artifact("figure", "The pipeline on one frame", "03_teacher_and_targets", True),
    "figure08": Artifact("figure", "Figure 2 for six actions", "06_linear_probe"),
}


def runs_for(profile: Profile, only: list[str] | None = None) -> list[RunSpec]:
    """The runs of some artifacts (None: all that are ready), each once, in manifest order."""
    wanted = [ARTIFACTS[name] for name in (only or ARTIFACTS)]
    specs = [spec for artifact in wanted if artifact.ready for spec in artifact.runs(profile)]
    return list({spec.key: spec for spec in specs}.values())
