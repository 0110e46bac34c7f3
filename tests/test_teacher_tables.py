"""Tables 2 and 18 and their figure say which teacher, of which family, trained or not, and put the paper's value on
that family's line.

Claims proved, on rows that are made here:
1. A line a teacher, granularity and probe; an untrained teacher is in capitals, and the paper's value stands only on
the paper's probe.
2. Table 18 holds the global runs alone, image and video apart.
3. Verdicts follow the rows: ahead under all probes, under some, under none, behind; a seed that disagrees is told.
4. The figure has a column a teacher at that teacher's own render size.
"""

import json

import numpy as np
import pytest

from cross4d_lib import load_teacher
from cross4d_lib.experiments import ARTIFACTS, load_profile, runs_for
from cross4d_lib.experiments.profiles import UNTRAINED_FAMILIES
from cross4d_lib.report import evidence, paper, teacher_tables
from cross4d_lib.report.tables import verdict
from cross4d_lib.report.teacher_figures import ROWS, teacher_maps

CLIPS = 40


def write_rows(folder, correct):
    """A row for every run of Table 2; correct(teacher, pretext) : clips right under each probe."""
    (folder / "quick" / "runs").mkdir(parents=True)
    for spec in ARTIFACTS["table02"].runs(load_profile("quick")):
        metrics = {}
        for probe, right in zip(teacher_tables.PROBES, correct(spec.teacher, spec.pretext)):
            metrics[probe] = {"accuracy": right / CLIPS, "correct": "1" * right + "0" * (CLIPS - right)}
        row = {
            "key": spec.key,
            "spec": spec.canonical(),
            "profile": "quick",
            "dataset": spec.dataset,
            "target": spec.dataset,
            "teacher": spec.teacher,
            "seed": spec.seed,
            "metrics": metrics,
            "chance": 0.05,
            "clips_trained": CLIPS,
            "clips_evaluated": CLIPS,
            "device": "cpu",
            "commit": "0",
            "dirty": False,
            "date": "2020-01-01T00:00",
        }
        (folder / "quick" / "runs" / f"{spec.key}.json").write_text(json.dumps(row))


@pytest.fixture
def rows(results):
    def correct(teacher, pretext):
        if teacher == "cross4d-tiny":
            return {"dense": (30, 30, 30), "global": (10, 10, 10)}[pretext]
        if teacher.startswith("vjepa2"):
            return {"dense": (30, 20, 20), "global": (10, 20, 20)}[pretext]
        if teacher.startswith("videomae"):
            return {"dense": (10, 20, 20), "global": (30, 20, 20)}[pretext]
        if teacher.startswith("dinov3"):
            return {"dense": (5, 5, 5), "global": (35, 35, 35)}[pretext]
        return (20, 20, 20)

    write_rows(results, correct)
    return load_profile("quick")


def test_lines_and_paper_values(rows):
    frame = teacher_tables.table02(rows).set_index(["method", "probe"])
    assert len(frame) == (1 + 2 * len(rows.teachers)) * 3
    line = frame.loc["dense, vjepa2-tiny (UNTRAINED)", "linear"]
    assert (line["family"], line["modality"], line["paper's teacher"]) == ("V-JEPA 2", "video", "V-JEPA 2")
    assert (
        line["paper"] == paper.TABLE_2["V-JEPA 2"]["dense"][0]
        and line["accuracy"] == 30 / CLIPS
        and line["chance"] == 0.05
    )
    assert np.isnan(frame.loc["dense, vjepa2-tiny (UNTRAINED)", "converged"]["paper"])
    assert (
        frame.loc["global, cross4d-tiny", "linear"]["paper"] == 0.64
        and frame.loc["global, cross4d-tiny", "linear"]["seeds"] == "0 1 2"
    )
    assert frame.loc["random", "linear"]["family"] == "" and np.isnan(frame.loc["random", "linear"]["paper"])
    untrained = [method for method in frame.index.get_level_values(0) if "UNTRAINED" in method]
    assert len(untrained) == 3 * 2 * sum(name.endswith("/untrained") for name in rows.teachers)


def test_table18_is_global_by_modality(rows):
    frame = teacher_tables.table18(rows)
    assert set(frame["method"].str.partition(",")[0]) == {"global", "random"}
    linear = frame[frame["probe"] == "linear"].set_index("method")
    assert (
        linear.loc["global, vjepa2-tiny (UNTRAINED)"]["paper"] == 0.61
        and linear.loc["global, cross4d-tiny"]["paper"] == 0.64
    )
    assert np.isnan(linear.loc["global, dinov3-tiny (UNTRAINED)"]["paper"])  # the paper's table has two teachers
    assert set(frame["modality"]) == {"", "image", "video"}


def test_verdicts_follow_the_rows(rows):
    found = {teacher: verdict(list(probes.values())) for teacher, probes in teacher_tables.by_teacher(rows).items()}
    assert found == dict.fromkeys(rows.teachers, "NOT SHOWN") | {
        "cross4d-tiny": "HOLDS",
        "dinov3-tiny/untrained": "REVERSED",
        "vjepa2-tiny/untrained": "DEPENDS ON THE PROBE",
        "videomae-tiny/untrained": "REVERSED UNDER SOME PROBES",
    }
    one_against = {"linear": {"first": "a", "second": "b", "ahead": "a", "by seed": [0.3, -0.1]}}
    assert verdict(list(one_against.values())) == "HOLDS ON AVERAGE, not for every seed"
    ahead = teacher_tables.against(rows, "cross4d-tiny", "dinov3-tiny/untrained")
    assert ahead["ahead"] == "dense, cross4d-tiny" and ahead["difference"] == pytest.approx(25 / CLIPS)


def test_without_rows_there_is_no_table(results):
    profile = load_profile("quick")
    assert (
        not len(teacher_tables.table02(profile))
        and not len(teacher_tables.table18(profile))
        and teacher_tables.by_teacher(profile) == {}
    )
    assert teacher_tables.against(profile, "cross4d-tiny", "vjepa2-tiny/untrained") == {}


def test_table2_asks_for_every_teacher_twice_and_shares_table1s_runs():
    for name in ("quick", "course"):
        profile = load_profile(name)
        asked = {(spec.teacher, spec.pretext) for spec in ARTIFACTS["table02"].runs(profile)}
        assert asked == {("", "random")} | {
            (teacher, pretext) for teacher in profile.teachers for pretext in ("global", "dense")
        }
        for teacher in profile.teachers:
            seeds = {spec.seed for spec in ARTIFACTS["table02"].runs(profile) if spec.teacher == teacher}
            assert seeds == set(
                profile.task_seeds if teacher in UNTRAINED_FAMILIES else profile.seeds
            )  # an untrained twin of ours has them all
        shared = {spec.key for spec in runs_for(profile, ["table01"])} & {
            spec.key for spec in runs_for(profile, ["table02"])
        }
        assert len(shared) >= 3 * len(profile.seeds)
        assert {spec.key for spec in runs_for(profile, ["table18"])} < {
            spec.key for spec in runs_for(profile, ["table02"])
        }


def test_the_hubs_owner_is_left_out_of_a_label():
    assert teacher_tables.teacher_label("facebook/dinov2-large") == "dinov2-large"
    assert teacher_tables.teacher_label("facebook/dinov2-large/untrained") == "dinov2-large (UNTRAINED)"


def test_the_figure_shows_each_teacher_at_its_own_size(clips):
    names = ("dinov2-registers-tiny/untrained", "vjepa2-tiny/untrained")
    seen = {}
    for name in names:
        teacher = load_teacher(name)
        seen[name] = evidence.pipeline_frame(clips[0], teacher, 1, teacher.image_size(126))
    figure = teacher_maps(seen, "a note")
    assert len([ax for ax in figure.axes if ax.get_label() != "<colorbar>"]) >= len(ROWS) * 2
    titles = [ax.get_title() for ax in figure.axes]
    assert f"{names[0]}\n9 x 9\nof 14 px" in titles and f"{names[1]}\n8 x 8\nof 16 px" in titles
    assert all(name in figure.get_label() for name in names)
