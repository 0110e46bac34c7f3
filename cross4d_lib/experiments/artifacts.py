"""Every table and figure as data: its runs, what tells its lines apart, its claims, its renderer and its notebook.

The one place that knows. Adding a table is one entry of ARTIFACTS; what is not built yet has ``ready=False``.
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
    control_profile,
    control_runs,
    correspondence_runs,
    coverage_runs,
    each,
    first_seed,
    granularity,
    in_domain_runs,
    length_runs,
    paper_size_runs,
    per_point,
    role,
    teacher_runs,
    transfer_runs,
)
from .spec import RunSpec
from .sweep import sweep_runs


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
    """A table or figure.

    notebook : that shows it. shape : the name of its renderer in ``report.tables``; "" where nothing is built, and for
    figures. runs : a profile's runs that feed it. shown : what tells its lines apart besides pretext and settings
    (``line_of``). primary : the reading of a row that its claims are decided by, declared beforehand; the others are
    secondary. only : the one reading that is shown, "" for all. paper : the name of its values in
    ``report.paper.STATED``.
    """

    title: str
    notebook: str
    shape: str = ""
    runs: Runs = lambda profile: []
    shown: tuple[str, ...] = ()
    claims: tuple[Claim, ...] | Callable[[Profile], tuple[Claim, ...]] = ()
    primary: str = "linear"
    paper: str = ""
    only: str = ""
    kind: str = "table"
    ready: bool = True

    def line(self, spec: RunSpec) -> Line:
        """The line of one of its runs."""
        return line_of(spec, self.shown)


RANDOM, GLOBAL, DENSE = (Line(name) for name in TRIO)
TWIN = Line("dense", teacher="UNTRAINED")
GRANULARITY = (
    Claim(DENSE, GLOBAL, "a target for every token is better than one for the whole clip"),
    Claim(GLOBAL, RANDOM, "global pretraining is better than none"),
    Claim(DENSE, RANDOM, "dense pretraining is better than none"),
)
TRAINED_TEACHER = Claim(DENSE, TWIN, "the teacher's training matters")
CONTROL_CLAIMS = (
    TRAINED_TEACHER,
    Claim(DENSE, control("broadcast frame means"), "one target a frame, the mean of its patches, is not enough"),
    Claim(DENSE, control("shuffled points"), "a target must be that of the right place"),
    Claim(DENSE, Line("dense", teacher="position"), "a target must say more than where its pixel is"),
    Claim(DENSE, Line("dense", teacher="geometry"), "a target must say more than the surface's form"),
    Claim(DENSE, Line("dense", teacher="grey"), "a target must say more than how bright the frame is"),
    Claim(DENSE, control("shuffled frames"), "a target must be that of the right frame"),
    Claim(DENSE, control("shuffled clips"), "a target must be that of the right clip"),
    Claim(DENSE, control("broadcast"), "the clip's summary on every token is not enough"),
    Claim(DENSE, control("broadcast frames"), "the frame's summary on its tokens is not enough"),
    Claim(DENSE, Line("global", (("summary", "mean"),)), "the same information in one target a clip is not enough"),
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


def transfer_claims(profile: Profile) -> tuple[Claim, ...]:
    """On every target: dense from the same dataset over random and over other sources, and these over random."""
    specs = transfer_runs(profile)
    sources = dict.fromkeys(spec.data.dataset for spec in specs if spec.data)
    found = []
    for target in dict.fromkeys(spec.measured_on for spec in specs):
        own, line = target.removesuffix("-actions"), lambda source: Line("dense", source=source)
        others = [source for source in sources if source != own]
        found.append(Claim(line(own), RANDOM, "pretraining on the same dataset is better than none", target))
        found += [Claim(line(s), RANDOM, "pretraining on another dataset is better than none", target) for s in others]
        found += [Claim(line(own), line(s), "the same dataset is better than another", target) for s in others]
    return tuple(found)


def more(first: Line, second: Line, says: str) -> tuple[Claim, ...]:
    """A table's only claim."""
    return (Claim(first, second, says),)


AUGMENTED = Line("dense", augment=True)
CAMERAS = {n: Line("dense", cameras=n) for n in (1, 2, 4)}
AT_LENGTH = {n: Line("dense", epochs=n) for n in (0.33, 1.0, 2.0)}
FIRST_CAMERA = Line("dense", (("merge", "first"),), cameras=4)

ARTIFACTS: dict[str, Artifact] = {
    "table01": Artifact(
        "Granularity: random, global, dense",
        "06_linear_probe",
        "accuracy",
        granularity(),
        claims=(*GRANULARITY, TRAINED_TEACHER),
        paper="TABLE_1",
    ),
    "table02": Artifact(
        "Teacher x granularity", "07_teachers", "teachers", teacher_runs, ("teacher",), teacher_claims, paper="TABLE_2"
    ),
    "table03": Artifact("Backbone x granularity", "08_backbones", ready=False),
    "table04": Artifact("Fine-tuning with fewer labels", "09_label_efficiency", ready=False),
    "table05": Artifact(
        "Transfer across datasets",
        "10_transfer",
        "transfer",
        transfer_runs,
        ("source",),
        paper="TABLE_12",
        only="standardized",
    ),
    "table06": Artifact(
        "Segmentation, frozen encoder",
        "11_segmentation",
        "segmentation",
        per_point(
            "segmentation",
            ("here", "random"),
            ("main", "global"),
            ("main", "dense"),
            ("here", "global"),
            ("here", "dense"),
        ),
        ("zero_shot",),
        POINT_CLAIMS,
        paper="TABLE_6",
    ),
    "table07": Artifact("4D self-supervised methods", "13_other_pretexts", ready=False),
    "table08": Artifact("Clip settings", "01_clips", "clips"),
    "table09": Artifact("Parameters and FLOPs", "04_point4d", "operations"),
    "table10": Artifact("Sensitivity", "14_ablations_and_robustness", ready=False),
    "table11": Artifact(
        "Feature standardisation in the probe", "06_linear_probe", "accuracy", each("random", "dense"), paper="TABLE_11"
    ),
    "table12": Artifact(
        "Transfer, full matrix, every probe",
        "10_transfer",
        "transfer",
        transfer_runs,
        ("source",),
        transfer_claims,
        "standardized",
        "TABLE_12",
    ),
    "table13": Artifact("Test-time corruption", "14_ablations_and_robustness", ready=False),
    "table14": Artifact(
        "The variance term",
        "05_pretrain",
        "accuracy",
        each("dense", ("dense", {"pretext.variance_weight": 0.0})),
        claims=more(DENSE, Line("dense", (("variance_weight", 0.0),)), "the variance term helps"),
        paper="TABLE_14",
    ),
    "table15": Artifact(
        "Cameras and coverage",
        "12_correspondence_and_cameras",
        "accuracy",
        each(*(("dense", {"targets.cameras": n}) for n in CAMERAS), seeds="task_seeds"),
        ("cameras",),
        tuple(Claim(CAMERAS[n], CAMERAS[1], f"{n} cameras are better than one") for n in (4, 2)),
        paper="TABLE_15",
    ),
    "table16": Artifact(
        "Correspondence over time",
        "12_correspondence_and_cameras",
        "correspondence",
        correspondence_runs,
        ("zero_shot",),
        (
            *POINT_CLAIMS[:3],
            POINT_CLAIMS[-1],
            Claim(DENSE, Line("XYZ of the nearest token"), "features find more than the token's own place"),
            Claim(DENSE, Line("raw XYZ"), "features find more than the point's own place"),
        ),
        "cosine, gap 8",
        "TABLE_16",
    ),
    "table17": Artifact(
        "Segmentation, fine-tuned",
        "11_segmentation",
        "segmentation",
        per_point("fine-tuning", ("here", "random"), ("here", "dense")),
        claims=more(DENSE, RANDOM, "fine-tuning from dense is better than from scratch"),
        primary="fine-tuned",
        paper="TABLE_17",
    ),
    "table18": Artifact(
        "Modality of the global teacher",
        "07_teachers",
        "teachers",
        lambda profile: [spec for spec in teacher_runs(profile) if spec.pretext_name != "dense"],
        ("teacher",),
        paper="TABLE_18",
    ),
    "table19": Artifact("Latent forecasting", "13_other_pretexts", ready=False),
    "table20": Artifact("Dense across backbones", "08_backbones", ready=False),
    "control_global_target": Artifact(
        "Ours: which global target",
        "05_pretrain",
        "accuracy",
        each("global", ("global", {"pretext.summary": "mean"})),
        claims=more(GLOBAL, Line("global", (("summary", "mean"),)), "the class token is the better global target"),
    ),
    "control_global_variance": Artifact(
        "Ours: the variance term in the global loss",
        "05_pretrain",
        "accuracy",
        each("global", ("global", {"pretext.variance_weight": 0.0})),
        claims=more(GLOBAL, Line("global", (("variance_weight", 0.0),)), "the variance term helps global"),
    ),
    "control_centring": Artifact(
        "Ours: centred targets or not",
        "05_pretrain",
        "accuracy",
        each("dense", ("dense", {"pretext.centre": False})),
        claims=more(DENSE, Line("dense", (("centre", False),)), "centred targets help"),
    ),
    "control_animals": Artifact(
        "Table 1's row for animals",
        "10_transfer",
        "accuracy",
        each(*TRIO, data=role("animals"), seeds="task_seeds"),
        claims=GRANULARITY,
        paper="TABLE_1",
    ),
    "control_animal_actions": Artifact(
        "Ours: actions of animals never seen",
        "10_transfer",
        "accuracy",
        each(*TRIO, data=role("animals"), seeds="task_seeds", target=lambda dataset: f"{dataset}-actions"),
        claims=GRANULARITY,
    ),
    "control_people": Artifact(
        "Table 1's row for NTU RGB+D 60",
        "10_transfer",
        "accuracy",
        each(*TRIO, data=role("people"), seeds="task_seeds"),
        claims=GRANULARITY,
        paper="TABLE_1",
    ),
    "control_readability": Artifact(
        "Ours: a point's class in target, student and place",
        "11_segmentation",
        "readability",
        per_point("readability", ("here", "dense")),
        claims=(
            Claim(Line("student"), Line("untrained student"), "training adds to what features tell of a point's class"),
            Claim(Line("targets"), Line("place"), "targets tell more of a point's class than its place"),
            Claim(Line("student"), Line("targets"), "the student tells more of a point's class than its targets"),
        ),
        primary="targets",
    ),
    "control_merge": Artifact(
        "Ours: more targets, or other ones, from more cameras",
        "12_correspondence_and_cameras",
        "accuracy",
        each(
            "dense",
            ("dense", {"targets.cameras": 4, "pretext.merge": "first"}),
            ("dense", {"targets.cameras": 4}),
            seeds="task_seeds",
        ),
        ("cameras",),
        (
            Claim(FIRST_CAMERA, CAMERAS[1], "more tokens with a target help"),
            Claim(CAMERAS[4], FIRST_CAMERA, "the mean over cameras is better than the first that sees"),
        ),
    ),
    "control_coverage": Artifact(
        "Ours: coverage, splat radius and resolution",
        "12_correspondence_and_cameras",
        "coverage",
        coverage_runs,
        paper="COVERAGE",
    ),
    "control_targets": Artifact(
        "Ours: dense on other targets", "15_what_is_the_lever", "accuracy", control_runs, claims=CONTROL_CLAIMS
    ),
    "control_pooling": Artifact(
        "Ours: how the tokens of a clip become one feature",
        "15_what_is_the_lever",
        "pooling",
        granularity(of=control_profile, task="pooling"),
        claims=(Claim(DENSE, RANDOM, "dense pretraining is better than none"), GRANULARITY[0]),
        primary="mean/linear/scored",
        paper="TABLE_1",
    ),
    "control_sweep": Artifact(
        "Ours: one setting at a time", "15_what_is_the_lever", "sweep", sweep_runs, primary="mean/converged"
    ),
    "control_length": Artifact(
        "Ours: dense trained for longer",
        "15_what_is_the_lever",
        "accuracy",
        length_runs,
        ("epochs",),
        (
            Claim(AT_LENGTH[2.0], AT_LENGTH[1.0], "twice the epochs help"),
            Claim(AT_LENGTH[1.0], AT_LENGTH[0.33], "three times the epochs help"),
            Claim(replace(AUGMENTED, epochs=1.0), AT_LENGTH[1.0], "augmented clips help"),
        ),
    ),
    "control_together": Artifact(
        "Ours: cameras and augmentation together",
        "15_what_is_the_lever",
        "accuracy",
        each(
            "random",
            *(
                ("dense", {"targets.cameras": n, "training.augment": augment})
                for augment in (False, True)
                for n in (1, 4)
            ),
            of=control_profile,
            seeds="task_seeds",
        ),
        ("cameras",),
        (
            Claim(CAMERAS[4], CAMERAS[1], "four cameras are better than one"),
            Claim(replace(AUGMENTED, cameras=4), CAMERAS[4], "augmented clips help under four cameras"),
        ),
    ),
    "control_in_domain": Artifact(
        "Ours: a teacher of the same clips",
        "07_teachers",
        "accuracy",
        in_domain_runs,
        claims=tuple(
            Claim(Line(name, teacher="IN-DOMAIN"), Line(name), "a teacher of the same clips is better")
            for name in ("dense", "global")
        ),
    ),
    "control_paper_size": Artifact(
        "Ours: the paper's clip and encoder size, few epochs",
        "06_linear_probe",
        "accuracy",
        paper_size_runs,
        claims=GRANULARITY,
        paper="TABLE_1",
    ),
    "figure01": Artifact("Method overview", "00_start_here", kind="figure"),
    "figure02": Artifact(
        "Features as colours: input, dense, global, random",
        "06_linear_probe",
        runs=first_seed(each(*TRIO)),
        kind="figure",
    ),
    "figure03": Artifact("The same across datasets", "10_transfer", runs=first_seed(each(*TRIO)), kind="figure"),
    "figure04": Artifact(
        "Segmentation beside ground truth",
        "11_segmentation",
        runs=first_seed(lambda profile: ARTIFACTS["table06"].runs(profile)),
        kind="figure",
    ),
    "figure05": Artifact(
        "One motion in one PCA", "12_correspondence_and_cameras", runs=first_seed(correspondence_runs), kind="figure"
    ),
    "figure06": Artifact("Label efficiency", "09_label_efficiency", kind="figure", ready=False),
    "figure07": Artifact("The pipeline on one frame", "03_teacher_and_targets", kind="figure"),
    "figure08": Artifact("Figure 2 for six actions", "06_linear_probe", kind="figure", ready=False),
}


def runs_for(profile: Profile, only: list[str] | None = None) -> list[RunSpec]:
    """The runs of some artifacts (None: all that are ready), each once, in the registry's order."""
    wanted = [ARTIFACTS[name] for name in (only or ARTIFACTS)]
    specs = [spec for artifact in wanted if artifact.ready for spec in artifact.runs(profile)]
    return list({spec.key: spec for spec in specs}.values())
