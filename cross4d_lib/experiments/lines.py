"""Which line of a table a run belongs to: a structured identity. The label that a reader sees is made from it at the
end, and nothing is ever read back from a label."""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import VISIBILITY
from ..pretexts import pretext_config
from ..teachers import CONTROL_TEACHERS
from ..teachers.formulas import PREFIX
from ..teachers.provenance import UNTRAINED, label_of
from .profiles import PROFILES
from .spec import EncoderSpec, RunSpec

NOTES = {  # a setting that differs from its default, in words; any other is shown as "name value"
    ("variance_weight", 0.0): "lambda = 0",
    ("centre", False): "not centred",
    ("summary", "mean"): "patch mean",
}


@dataclass(frozen=True)
class Line:
    """What tells a line of a table from the others; what does not differ in a table keeps its default.

    pretext : as registered, or "random". settings : the pretext's settings that differ from its defaults, all but
    control, the targets that stand in the place of dense's own. teacher : its
    name where a table compares teachers; elsewhere only its kind, where it is not a trained teacher ("UNTRAINED",
    "IN-DOMAIN", a formula's name). source : the dataset pretrained on, in tables of transfer. zero_shot : pretrained on
    another dataset. cameras : in tables that vary them, else 0. clip, visibility, encoder : how the clip, the render's
    rule or the encoder differ from the profile's, in words, in tables that vary them.
    """

    pretext: str
    settings: tuple[tuple[str, object], ...] = ()
    control: str = ""
    teacher: str = ""
    source: str = ""
    zero_shot: bool = False
    cameras: int = 0
    clip: str = ""
    visibility: str = ""
    encoder: str = ""

    def __str__(self) -> str:
        notes = [teacher_label(self.teacher)] if self.teacher else []
        notes += [self.control] if self.control else []
        notes += [NOTES.get(setting, f"{setting[0]} {setting[1]}") for setting in self.settings]
        notes += [f"from {self.source}"] if self.source else []
        notes += ["zero-shot"] * self.zero_shot
        notes += [f"{self.cameras} camera{'s' * (self.cameras > 1)}"] if self.cameras else []
        notes += [note for note in (self.clip, self.visibility, self.encoder) if note]
        pretext = "dense" if self.pretext == "control" else self.pretext
        return f"{pretext} ({', '.join(notes)})" if notes else pretext


def control(name: str) -> Line:
    """The line of dense on the targets of one of ``pretexts.CONTROLS``."""
    return Line("control", control=name)


def teacher_kind(name: str) -> str:
    """What must be said of a teacher that is not a trained one: "UNTRAINED", "IN-DOMAIN", or the formula's name."""
    return name.removeprefix(PREFIX) if name in CONTROL_TEACHERS else label_of(name)


def teacher_label(name: str) -> str:
    """A teacher as tables call it: without the hub's owner, its kind in capitals."""
    if name in ("UNTRAINED", "IN-DOMAIN"):
        return f"{name} teacher"
    if PREFIX + name in CONTROL_TEACHERS:
        return f"{name} alone"
    stem, kind = name.removesuffix(UNTRAINED).rpartition("/")[2], teacher_kind(name)
    return f"{stem}, {kind}" if kind else stem


def line_of(spec: RunSpec, shown: tuple[str, ...] = ()) -> Line:
    """The line of a run. shown : what else the table tells apart, of "teacher", "source", "zero_shot", "cameras",
    "clip" (always said), "factors" (clip, visibility and encoder where they are not the profile's)."""
    differing = {"clip": clip_of(spec)} if "clip" in shown else factors_of(spec) if "factors" in shown else {}
    if spec.pretext is None:
        return Line(spec.pretext_name, **differing)
    settings = spec.pretext.settings
    return Line(
        spec.pretext.name,
        tuple(sorted((name, value) for name, value in settings.items() if name != "control")),
        getattr(pretext_config(spec.pretext.name, **settings), "control", ""),
        spec.teacher if "teacher" in shown else teacher_kind(spec.teacher),
        source=spec.data.dataset if "source" in shown else "",
        zero_shot="zero_shot" in shown and spec.data.dataset != spec.measured_on,
        cameras=spec.targets.cameras if "cameras" in shown and spec.targets else 0,
        **differing,
    )


def clip_of(spec: RunSpec) -> str:
    """The clips a run is measured on: "12 x 512, stride 2"."""
    clip = spec.task.data
    return f"{clip.frames} x {clip.points}, stride {clip.stride}"


def factors_of(spec: RunSpec) -> dict[str, str]:
    """Where clip, visibility and encoder of a run differ from its profile's, in words."""
    profile, clip, encoder = PROFILES[spec.profile], spec.task.data, spec.encoder.settings
    usual = EncoderSpec(name=spec.encoder.name, settings=profile.encoder).settings
    found = {"encoder": ", ".join(f"{name} {value}" for name, value in encoder.items() if value != usual.get(name))}
    if (clip.frames, clip.points, clip.stride) != (profile.frames, profile.points, profile.stride):
        found["clip"] = clip_of(spec)
    if spec.targets and spec.targets.visibility != VISIBILITY:
        found["visibility"] = f"visible by {spec.targets.visibility}"
    return found
