"""Every table and figure as data: its runs, what tells its lines apart, its claims, its renderer and its notebook.

The one place that knows. Adding a table is one entry of BY_NOTEBOOK; what is not built yet has ``ready=False``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..teachers.provenance import UNTRAINED
from .lines import Line, control, line_of
from .profiles import Profile
from .run_lists import (
    TRIO,
    Runs,
    calibration_runs,
    control_runs,
    correspondence_runs,
    coverage_runs,
    each,
    factor_runs,
    first_seed,
    granularity,
    modality_runs,
    paper_size_runs,
    per_point,
    role,
    teacher_runs,
    transfer_runs,
)
from .spec import RunSpec


@dataclass(frozen=True)
class Claim:
    """That the first line is ahead of the second, in a reader's words; on one dataset, or ("") on all of the table.
    An artifact's first claim is its primary one."""

    first: Line
    second: Line
    says: str
    on: str = ""


@dataclass(frozen=True)
class Artifact:
    """A table or figure; it stands under the notebook that shows it.

    shape : the name of its renderer in ``report.tables``; "" where nothing is built, and for
    figures. runs : a profile's runs that feed it. shown : what tells its lines apart besides pretext and settings
    (``line_of``). primary : the reading of a row that its claims are decided by, declared beforehand; the others are
    secondary. only : the one reading that is shown, "" for all. paper : the name of its values in
    ``report.paper.STATED``.
    """

    title: str
    shape: str = ""
    runs: Runs = lambda profile: []
    shown: tuple[str, ...] = ()
    claims: tuple[Claim, ...] | Callable[[Profile], tuple[Claim, ...]] = ()
    primary: str = "linear"
    paper: str = ""
    only: str = ""
    kind: str = "table"
    ready: bool = True
    notebook: str = ""

    def line(self, spec: RunSpec) -> Line:
        """The line of one of its runs."""
        return line_of(spec, self.shown)


RANDOM, GLOBAL, DENSE = (Line(name) for name in TRIO)
TWIN = Line("dense", teacher="UNTRAINED")
FACTORS = ("teacher", "factors")  # what control_factors tells apart
NO_VARIANCE, NOT_CENTRED, PATCH_MEAN = (("variance_weight", 0.0),), (("centre", False),), (("summary", "mean"),)
BEST_GLOBAL, UNCENTRED = Line("global", PATCH_MEAN + NO_VARIANCE), Line("dense", NOT_CENTRED)
GRANULARITY = (
    Claim(DENSE, GLOBAL, "a target for every token is better than one for the whole clip"),
    Claim(GLOBAL, RANDOM, "global pretraining is better than none"),
    Claim(DENSE, RANDOM, "dense pretraining is better than none"),
)
TRAINED_TEACHER = Claim(DENSE, TWIN, "the teacher's training matters")
CENTRED = Claim(DENSE, UNCENTRED, "centred targets help")
TABLE_1_CLAIMS = (
    Claim(DENSE, BEST_GLOBAL, "a target for every token is better than the best one for the whole clip"),
    *GRANULARITY,
    TRAINED_TEACHER,
    CENTRED,
)
CONTROL_CLAIMS = (
    Claim(DENSE, control("frame mean"), "a target for every token is better than one for every frame"),
    TRAINED_TEACHER,
    Claim(DENSE, Line("dense", teacher="position"), "a target must say more than where its pixel is"),
    Claim(DENSE, control("shuffled points"), "a target must be that of the right place"),
    Claim(control("frame mean"), BEST_GLOBAL, "one target a frame is better than one a clip"),
)
ZERO_SHOT = {name: Line(name, zero_shot=True) for name in ("global", "dense")}
POINT_CLAIMS = (
    *GRANULARITY,
    Claim(ZERO_SHOT["dense"], RANDOM, "dense pretraining on another dataset is better than none"),
    Claim(ZERO_SHOT["dense"], ZERO_SHOT["global"], "dense carries over better than global"),
    Claim(DENSE, ZERO_SHOT["dense"], "pretraining on the same dataset is better than on another"),
)


def teacher_claims(profile: Profile) -> tuple[Claim, ...]:
    """Dense over global under every teacher, and every trained teacher over its untrained twin."""
    line = lambda pretext, name: Line(pretext, teacher=name)
    pairs = [(name, f"{name}{UNTRAINED}") for name in profile.teachers]
    twins = [(name, twin) for name, twin in pairs if twin in profile.teachers]
    return tuple(
        Claim(
            line("dense", name), line("global", name), "a target for every token is better than one for the whole clip"
        )
        for name in profile.teachers
    ) + tuple(
        Claim(line(pretext, name), line(pretext, twin), "the teacher's training matters")
        for name, twin in twins
        for pretext in ("global", "dense")
    )


def factor_claims(profile: Profile) -> tuple[Claim, ...]:
    """Every dense line of ``control_factors`` against the profile's own."""
    base, *others = dict.fromkeys(
        line_of(spec, FACTORS) for spec in factor_runs(profile) if spec.pretext_name == "dense"
    )
    return tuple(Claim(line, base, "this setting is better than the profile's own") for line in others)


def transfer_claims(profile: Profile) -> tuple[Claim, ...]:
    """On every target: dense from the same dataset over random and over other sources, and these over random."""
    specs = transfer_runs(profile)
    sources = dict.fromkeys(spec.data.dataset for spec in specs if spec.data)
    found = []
    for target in dict.fromkeys(spec.measured_on for spec in specs):
        own = target if target in sources else target.removesuffix("-actions")
        line = lambda source: Line("dense", source=source)
        others = [source for source in sources if source != own]
        found.append(Claim(line(own), RANDOM, "pretraining on the same dataset is better than none", target))
        found += [Claim(line(s), RANDOM, "pretraining on another dataset is better than none", target) for s in others]
        found += [Claim(line(own), line(s), "the same dataset is better than another", target) for s in others]
    return tuple(found)


CAMERAS = {n: Line("dense", cameras=n) for n in (1, 2, 4)}
CAMERA_CLAIMS = tuple(Claim(CAMERAS[n], CAMERAS[1], f"{n} cameras are better than one") for n in (4, 2))
PLACE_CLAIMS = (
    Claim(DENSE, Line("XYZ of the nearest token"), "features find more than the token's own place"),
    Claim(DENSE, Line("raw XYZ"), "features find more than the point's own place"),
)
CLASS_CLAIMS = (
    Claim(Line("student"), Line("untrained student"), "training adds to what features tell of a point's class"),
    Claim(Line("targets"), Line("place"), "targets tell more of a point's class than its place"),
    Claim(Line("student"), Line("targets"), "the student tells more of a point's class than its targets"),
)
TUNING_CLAIMS = (Claim(DENSE, RANDOM, "fine-tuning from dense is better than from scratch"),)
FROZEN = per_point("segmentation", *(("here", p) for p in TRIO), ("main", "global"), ("main", "dense"))
CAMERA_WAYS = [("dense", {"targets.cameras": n}) for n in CAMERAS]
FEW = {"seeds": "task_seeds"}
ANIMALS = {"data": role("animals"), **FEW}
ACTIONS = {**ANIMALS, "target": lambda dataset: f"{dataset}-actions"}

BY_NOTEBOOK: dict[str, dict[str, Artifact]] = {
    "00_start_here": {"figure01": Artifact("Method overview", kind="figure")},
    "01_clips": {"table08": Artifact("Clip settings", "clips")},
    "03_teacher_and_targets": {"figure07": Artifact("The pipeline on one frame", kind="figure")},
    "04_point4d": {"table09": Artifact("Parameters and FLOPs", "operations")},
    "05_pretrain": {
        "table14": Artifact(
            "The variance term",
            "accuracy",
            each("dense", ("dense", {"pretext.variance_weight": 0.0})),
            claims=(Claim(DENSE, Line("dense", NO_VARIANCE), "the variance term helps"),),
            paper="TABLE_14",
        ),
    },
    "06_linear_probe": {
        "table01": Artifact(
            "Granularity: random, global, dense", "accuracy", granularity, (), TABLE_1_CLAIMS, paper="TABLE_1"
        ),
        "control_calibration": Artifact(
            "Ours: one encoder without training, many accuracies",
            "calibration",
            calibration_runs,
            ("clip",),
            paper="CALIBRATION",
        ),
        "table11": Artifact(
            "Feature standardisation in the probe", "accuracy", each("random", "dense"), paper="TABLE_11"
        ),
        "control_ceiling": Artifact(
            "Ours: what the encoder reaches when it is told the labels",
            "classification",
            each("random", "dense", task="classification", **FEW),
            (),
            TUNING_CLAIMS,
            "fine-tuned",
            "TABLE_4",
        ),
        "control_paper_size": Artifact(
            "Table 1 at the paper's clip and encoder size",
            "accuracy",
            paper_size_runs,
            (),
            (*GRANULARITY, CENTRED),
            paper="TABLE_1",
        ),
        "figure02": Artifact(
            "Features as colours: input, dense, global, random", runs=first_seed(each(*TRIO)), kind="figure"
        ),
        "figure08": Artifact("Figure 2 for six actions", kind="figure", ready=False),
    },
    "07_teachers": {
        "table02": Artifact(
            "Teacher x granularity", "teachers", teacher_runs, ("teacher",), teacher_claims, paper="TABLE_2"
        ),
        "table18": Artifact(
            "Modality of the global teacher", "teachers", modality_runs, ("teacher",), paper="TABLE_18"
        ),
    },
    "08_backbones": {
        "table03": Artifact("Backbone x granularity", ready=False),
        "table20": Artifact("Dense across backbones", ready=False),
    },
    "09_label_efficiency": {
        "table04": Artifact("Fine-tuning with fewer labels", ready=False),
        "figure06": Artifact("Label efficiency", kind="figure", ready=False),
    },
    "10_transfer": {
        "table05": Artifact(
            "Transfer across datasets", "transfer", transfer_runs, ("source",), paper="TABLE_12", only="standardized"
        ),
        "table12": Artifact(
            "Transfer, full matrix", "transfer", transfer_runs, ("source",), transfer_claims, "standardized", "TABLE_12"
        ),
        "control_animals": Artifact(
            "Table 1's row for animals", "accuracy", each(*TRIO, **ANIMALS), (), GRANULARITY, paper="TABLE_1"
        ),
        "control_animal_actions": Artifact(
            "Ours: actions of animals never seen", "accuracy", each(*TRIO, **ACTIONS), (), GRANULARITY
        ),
        "control_people": Artifact(
            "Table 1's row for NTU RGB+D 60",
            "accuracy",
            each(*TRIO, data=role("people"), **FEW),
            (),
            GRANULARITY,
            paper="TABLE_1",
        ),
        "figure03": Artifact("The same across datasets", runs=first_seed(each(*TRIO)), kind="figure"),
    },
    "11_segmentation": {
        "table06": Artifact(
            "Segmentation, frozen encoder", "segmentation", FROZEN, ("zero_shot",), POINT_CLAIMS, paper="TABLE_6"
        ),
        "table17": Artifact(
            "Segmentation, fine-tuned",
            "segmentation",
            per_point("fine-tuning", ("here", "random"), ("here", "dense")),
            (),
            TUNING_CLAIMS,
            "fine-tuned",
            "TABLE_17",
        ),
        "control_readability": Artifact(
            "Ours: a point's class in target, student and place",
            "readability",
            per_point("readability", ("here", "dense")),
            (),
            CLASS_CLAIMS,
            "targets",
        ),
        "figure04": Artifact("Segmentation beside ground truth", runs=first_seed(FROZEN), kind="figure"),
    },
    "12_correspondence_and_cameras": {
        "table15": Artifact(
            "Cameras and coverage", "accuracy", each(*CAMERA_WAYS, **FEW), ("cameras",), CAMERA_CLAIMS, paper="TABLE_15"
        ),
        "table16": Artifact(
            "Correspondence over time",
            "correspondence",
            correspondence_runs,
            ("zero_shot",),
            (*GRANULARITY, POINT_CLAIMS[-1], *PLACE_CLAIMS),
            "cosine, gap 8",
            "TABLE_16",
        ),
        "control_coverage": Artifact(
            "Ours: coverage, splat radius and resolution", "coverage", coverage_runs, paper="COVERAGE"
        ),
        "figure05": Artifact("One motion in one PCA", runs=first_seed(correspondence_runs), kind="figure"),
    },
    "13_other_pretexts": {
        "table07": Artifact("4D self-supervised methods", ready=False),
        "table19": Artifact("Latent forecasting", ready=False),
    },
    "14_ablations_and_robustness": {
        "table10": Artifact("Sensitivity", ready=False),
        "table13": Artifact("Test-time corruption", ready=False),
    },
    "15_what_is_the_lever": {
        "control_targets": Artifact("Ours: dense on other targets", "accuracy", control_runs, (), CONTROL_CLAIMS),
        "control_factors": Artifact(
            "Ours: one factor at a time, on training subjects",
            "accuracy",
            factor_runs,
            FACTORS,
            factor_claims,
        ),
    },
}
ORDER = ("table", "control", "figure")  # in which artifacts are listed and run
ARTIFACTS: dict[str, Artifact] = {
    name: replace(artifact, notebook=notebook)
    for kind in ORDER
    for name, (notebook, artifact) in sorted(
        (name, (notebook, artifact))
        for notebook, own in BY_NOTEBOOK.items()
        for name, artifact in own.items()
        if name.startswith(kind)
    )
}


def runs_for(profile: Profile, only: list[str] | None = None) -> list[RunSpec]:
    """The runs of some artifacts (None: all that are ready), each once, in the registry's order."""
    wanted = [ARTIFACTS[name] for name in (only or ARTIFACTS)]
    specs = [spec for artifact in wanted if artifact.ready for spec in artifact.runs(profile)]
    return list({spec.key: spec for spec in specs}.values())
