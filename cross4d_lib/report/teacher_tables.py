"""Tables 2 and 18: the same student under different teachers, from rows alone.

The paper's value stands on the line of the family it was measured with. Our teacher of that family is another one:
smaller, trained by us or not at all, and the line says so.
"""

from __future__ import annotations

import pandas as pd

from ..experiments import ARTIFACTS, Profile, RunSpec
from ..teachers import UNTRAINED, family_of, label_of
from . import paper
from .tables import PROBES, comparison, measured, with_paper


def teacher_label(name: str) -> str:
    """A teacher as tables call it: without the hub's owner, UNTRAINED or IN-DOMAIN in capitals."""
    stem, mark = name.removesuffix(UNTRAINED).rpartition("/")[2], label_of(name)
    return f"{stem} ({mark})" if mark else stem


def teacher_line(spec: RunSpec) -> str:
    """The name of a run's line in these tables: ``dense, vjepa2-tiny (UNTRAINED)``; ``random`` has no teacher."""
    return f"{spec.pretext}, {teacher_label(spec.teacher)}" if spec.teacher else spec.pretext


def teachers_measured(profile: Profile, artifact: str, stated) -> pd.DataFrame:
    """One line a teacher, granularity and probe. stated(paper's family, granularity) : the paper's value or None."""
    frame = measured(profile, ARTIFACTS[artifact].runs(profile), teacher_line)
    if not len(frame):
        return frame
    families = [family_of(name.removesuffix(" (IN-DOMAIN)")) if name != "none" else None for name in frame["teacher"]]
    frame = with_paper(frame, lambda line: float("nan"))
    for i, family in enumerate(families):
        value = (
            stated(family.paper, frame.at[i, "method"].partition(",")[0])
            if family and frame.at[i, "probe"] == "linear"
            else None
        )
        frame.at[i, "paper"] = float("nan") if value is None else value
    frame.insert(0, "paper's teacher", [family.paper if family else "" for family in families])
    frame.insert(0, "modality", [family.modality if family else "" for family in families])
    frame.insert(0, "family", [family.label if family else "" for family in families])
    return frame


def table02(profile: Profile) -> pd.DataFrame:
    """Table 2: teacher x granularity, the random encoder beside them."""
    return teachers_measured(
        profile, "table02", lambda family, pretext: paper.TABLE_2.get(family, {}).get(pretext, (None,))[0]
    )


def table18(profile: Profile) -> pd.DataFrame:
    """Table 18, the column of Point4D: global from image and from video teachers."""
    return teachers_measured(
        profile,
        "table18",
        lambda family, pretext: paper.TABLE_18.get(family, {}).get("Point4D") if pretext == "global" else None,
    )


def by_teacher(profile: Profile) -> dict[str, dict[str, dict]]:
    """Is dense ahead of global? teacher -> probe -> ``tables.comparison``; teachers without both runs are left out."""
    found = {
        teacher: {probe: _dense_less_global(profile, teacher, probe) for probe in PROBES}
        for teacher in profile.teachers
    }
    return {teacher: verdicts for teacher, verdicts in found.items() if all(verdicts.values())}


def _dense_less_global(profile: Profile, teacher: str, probe: str) -> dict:
    label = teacher_label(teacher)
    return comparison(profile, f"dense, {label}", f"global, {label}", probe, "table02", teacher_line)


def against(profile: Profile, first: str, second: str, pretext: str = "dense", probe: str = "linear") -> dict:
    """Paired comparison of two teachers under one granularity, over the seeds both have; {} when there are none."""
    return comparison(
        profile,
        f"{pretext}, {teacher_label(first)}",
        f"{pretext}, {teacher_label(second)}",
        probe,
        "table02",
        teacher_line,
    )
