"""A table says what its rows say, beside the paper, and where every number comes from.

Claims proved, on rows written by hand:
1. A line's mean, deviation, interval and provenance are those of its rows; a run that has no row adds nothing to it,
   and a line without rows is not there; rows of older code are shown as such.
2. The paper's column holds the paper's numbers, where the paper has one and for the probe it used.
3. Numbers of different kinds never share an unlabelled column: a heading says profile, kind, data, clip, clips, code.
4. Every run of every table has one line and one seed; labels of a table's lines differ.
5. Files are written for tables that have lines, and hold the same numbers.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import FRAMES, POINTS
from result_rows import CLIPS, SUBJECTS, accuracy, probed, specs_of, write_row

from cross4d_lib.evaluation.statistics import interval
from cross4d_lib.experiments import ARTIFACTS, Line, load_profile, runs_for
from cross4d_lib.experiments.artifacts import BEST_GLOBAL, DENSE, GLOBAL, RANDOM, TWIN, UNCENTRED
from cross4d_lib.report import display, paper, tables
from cross4d_lib.report.tables import PROBES, table, write_tables

QUICK = load_profile("quick")
COUNTS = {RANDOM: (4, 6, 8), GLOBAL: (9,), DENSE: (14, 15, 19)}  # right of 20, by seed


def fill(results, name, counts, profile=QUICK, **changes):
    """Rows of an artifact: line -> clips right by seed."""
    specs = specs_of(name, profile)
    for line, rights in counts.items():
        for seed, right in enumerate(rights):
            write_row(results, specs[line][seed], probed(right, seed), **changes)


@pytest.fixture
def table01(results):
    """Table 1 of the quick profile: global has one seed; the untrained twin none."""
    fill(results, "table01", COUNTS)
    return table("table01", QUICK)


def at(frame, line, probe="linear", **wanted):
    """The only entry of a line under a probe."""
    for name, value in {"probe": probe, **wanted}.items():
        frame = frame[frame[name] == value]
    frame = frame[frame["line"] == line]
    assert len(frame) == 1
    return frame.iloc[0]


# ------------------------------------------------------------------------------------------------ 1. lines


def test_a_line_is_mean_and_deviation_of_its_rows(table01):
    """random: accuracies .2, .3, .4: mean .3, deviation sqrt((.01 + 0 + .01) / 2) = .1. dense: .7, .75, .95: mean .8,
    deviation sqrt((.01 + .0025 + .0225) / 2) = .1323. One row has no deviation."""
    random, dense, one = (at(table01, line) for line in (RANDOM, DENSE, GLOBAL))
    assert (random["accuracy"], random["std"]) == (pytest.approx(0.3), pytest.approx(0.1))
    assert (dense["accuracy"], dense["std"]) == (pytest.approx(0.8), pytest.approx(0.13229, abs=1e-5))
    assert one["accuracy"] == pytest.approx(0.45) and np.isnan(one["std"])
    assert (random["seeds"], random["each"], one["seeds"]) == ("0 1 2", "0.2000 0.3000 0.4000", "0")
    assert at(table01, RANDOM, "converged")["accuracy"] == pytest.approx(0.4)
    assert set(table01["line"]) == {RANDOM, GLOBAL, DENSE} and len(table01) == 9


def test_the_interval_is_over_subjects_clips_and_seeds(table01):
    values = [[c == "1" for c in accuracy(right, seed).correct] for seed, right in enumerate(COUNTS[RANDOM])]
    expected = interval(np.array(values), SUBJECTS)
    line = at(table01, RANDOM)
    assert (line["low"], line["high"]) == (expected.low, expected.high)
    assert expected.low != interval(np.array(values)).low  # the subjects matter


def test_a_line_says_where_it_comes_from(results):
    fill(results, "table01", {DENSE: (14, 15, 19)})
    spec = specs_of("table01", QUICK)[DENSE][1]
    other = {"commit": "ba9876543210", "dirty": True, "device": "a GPU", "precision": "bfloat16"}
    write_row(results, spec, probed(15, 1), **other)
    line = at(table("table01", QUICK), DENSE)
    about = (line["data"], line["kind"], line["teacher"], line["profile"])
    assert about == ("synthetic-actions", "synthetic stand-in", "cross4d-tiny", "quick")
    assert line["clip"] == f"{QUICK.frames} x {QUICK.points}, stride {QUICK.stride}" and line["epochs"] == QUICK.epochs
    assert (line["clips_trained"], line["clips_evaluated"], line["chance"]) == (CLIPS, CLIPS, 0.05)
    assert (line["device"], line["precision"]) == ("a GPU cpu", "bfloat16 float32")
    assert (line["commit"], line["dirty"]) == ("0123456789ab ba9876543210", "False True")
    keys = sorted(spec.key for spec in specs_of("table01", QUICK)[DENSE].values())
    assert (line["date"], line["runs"].split(), line["code"]) == ("2026-01-03T00:00:00+00:00", keys, "current")


def test_rows_of_older_code_are_shown_as_such(results):
    """One older row among three makes the line older, and the column's heading says so."""
    specs = specs_of("table01", QUICK)
    for seed, spec in specs[DENSE].items():
        write_row(results, spec, probed(14, seed), older=seed == 1)
    write_row(results, specs[GLOBAL][0], probed(9))
    frame = table("table01", QUICK)
    assert (at(frame, DENSE)["code"], at(frame, GLOBAL)["code"]) == ("older", "current")
    assert all(", older code" in head for head in display.side_by_side("table01").columns[1:])


def test_no_rows_no_lines(results):
    for name in tables.table_names():
        if ARTIFACTS[name].runs(QUICK):
            assert table(name, QUICK).empty, name
    assert display.side_by_side("table01").empty and tables.tables_of("table01") == {}


# ------------------------------------------------------------------------------------------------ 2. the paper's column


def test_table_1_beside_the_papers(table01):
    assert list(table01.columns[:5]) == ["data", "method", "probe", "paper", "accuracy"]
    for line, value in {RANDOM: 0.42, GLOBAL: 0.64, DENSE: 0.81}.items():
        assert at(table01, line)["paper"] == value == paper.TABLE_1["msr-action3d"][line.pretext][0]
        assert np.isnan(at(table01, line, "standardized")["paper"])  # the paper has no such number


def test_an_untrained_teacher_has_no_number_of_the_papers(results):
    fill(results, "table01", {TWIN: (10,)})
    line = at(table("table01", QUICK), TWIN)
    assert np.isnan(line["paper"]) and line["teacher"] == "cross4d-tiny/untrained" and line["accuracy"] == 0.5
    assert line["method"] == "dense (UNTRAINED teacher)"


def test_tables_11_and_14_beside_the_papers(table01, results):
    """.40 and .59 for random, .80 and .79 for dense: without and with standardisation. Table 14's first line reads the
    rows of Table 1's dense runs: the same runs."""
    frame = table("table11", QUICK)
    found = {(line.pretext, p): at(frame, line, p)["paper"] for line in (RANDOM, DENSE) for p in PROBES}
    expected = {"linear": (0.40, 0.80), "standardized": (0.59, 0.79)}
    for probe, (random, dense) in expected.items():
        assert (found["random", probe], found["dense", probe]) == (random, dense)
    assert np.isnan(found["dense", "converged"])
    without = Line("dense", (("variance_weight", 0.0),))
    fill(results, "table14", {without: (13, 14, 15)})
    frame = table("table14", QUICK)
    assert at(frame, DENSE)["accuracy"] == pytest.approx(0.8)
    assert (at(frame, DENSE)["paper"], at(frame, without)["paper"]) == (0.836, 0.821)


def test_our_own_tables_claim_no_number_of_the_papers(results):
    fill(results, "control_targets", {UNCENTRED: (12,), BEST_GLOBAL: (7,)})
    frame = table("control_targets", QUICK)
    assert set(frame["method"]) == {"dense (not centred)", "global (patch mean, lambda = 0)"}
    assert frame["paper"].isna().all()


def test_the_paper_s_teachers_stand_on_the_line_of_their_family(results):
    line = lambda pretext, name: Line(pretext, teacher=name)
    counts = {line("dense", "vjepa2-tiny/untrained"): (15,), line("global", "cross4d-tiny"): (10, 10, 10)}
    profile = replace(QUICK, teachers=("cross4d-tiny", "vjepa2-tiny/untrained"))
    fill(results, "table02", counts, profile)
    frame = table("table02", profile)
    video = at(frame, line("dense", "vjepa2-tiny/untrained"))
    assert (video["family"], video["modality"], video["method"]) == (
        "V-JEPA 2",
        "video",
        "dense (vjepa2-tiny, UNTRAINED)",
    )
    assert video["paper"] == paper.TABLE_2["V-JEPA 2"]["dense"][0]
    assert at(frame, line("global", "cross4d-tiny"))["paper"] == 0.64
    modality = table("table18", profile)
    assert set(modality["line"]) == {line("global", "cross4d-tiny")} and set(modality["paper"].dropna()) == {0.64}


def test_transfer_stands_beside_the_z_scored_probe(results):
    """Table 12: MSR -> DT4D .435, MSR -> MSR .826, random on DT4D .265; actions of animals are ours."""
    main, animals = "synthetic-actions", "synthetic-animals"
    specs = [spec for spec in ARTIFACTS["table12"].runs(QUICK)]
    wanted = {(main, main), (main, animals), (None, animals), (animals, f"{animals}-actions")}
    for spec in specs:
        if (spec.data and spec.data.dataset, spec.measured_on) in wanted:
            write_row(results, spec, probed(8))
    frame = table("table12", QUICK)
    stated = frame[frame["probe"] == "standardized"].set_index(["source", "target"])["paper"].to_dict()
    assert (stated[main, animals], stated[main, main], stated["random", animals]) == (0.435, 0.826, 0.265)
    assert np.isnan(stated[animals, f"{animals}-actions"]) and len(stated) == 4
    assert frame[frame["probe"] != "standardized"]["paper"].isna().all()
    assert set(table("table05", QUICK)["probe"]) == {"standardized"}


def test_table_8_states_what_was_found_and_what_is_missing(depth_videos, results):
    course = replace(
        load_profile("course"), frames=FRAMES, points=POINTS, clips=2, roles={"hands": ("synthetic-scenes",)}
    )
    spec = runs_for(course, ["table01"])[0]
    write_row(results, spec, probed(3), padded={"train": {"frames_repeated": 4}, "test": {}}, found="24 of 567")
    frame = table("table08", course).set_index("data")
    real, scenes = frame.loc["msr-action3d"], frame.loc["synthetic-scenes"]
    assert (real["kind"], frame.loc["synthetic-actions", "kind"]) == ("real", "synthetic stand-in")
    assert (real["paper train"], real["paper frames"], real["frames"], real["train"]) == (270, 24, FRAMES, CLIPS)
    assert (real["found"], real["train frames_repeated"]) == ("24 of 567", 4)
    assert (scenes["found"], scenes["train"], scenes["paper train"]) == ("not measured", 0, 1776)


def test_table_9_counts_what_the_paper_states():
    frame = table("table09", QUICK).set_index("component")
    head = frame.loc["dense per-token head"]
    assert head["parameters (M)"] == pytest.approx(0.098688)
    assert round(head["FLOPs with joint attention (G)"], 1) == head["paper FLOPs (G)"] == 0.3


def test_every_stand_in_stands_for_a_dataset_of_the_paper():
    assert set(paper.STANDS_FOR.values()) == set(paper.TABLE_8)
    assert paper.TABLE_12.keys() - {"random"} <= set(paper.TABLE_8)


# ------------------------------------------------------------------------------------------------ 3. kinds never mix


def test_side_by_side_labels_every_column_with_its_kind(table01, depth_videos, results):
    """A profile on the stand-in and one on real data stand in two columns, each saying so."""
    course = load_profile("course")
    fill(results, "table01", {DENSE: (16,)}, course)
    frame = display.side_by_side("table01")
    clip = f"{QUICK.frames} x {QUICK.points}, stride {QUICK.stride}"
    stand_in = f"quick: SYNTHETIC STAND-IN synthetic-actions, {clip}, {CLIPS} clips"
    real = f"course: REAL msr-action3d, 12 x 512, stride 2, {CLIPS} clips"
    assert list(frame.columns) == ["PAPER: msr-action3d, DINOv2-large, 24 x 2048", stand_in, real]
    assert frame.index[0] == ("chance", "") and frame.loc[("chance", ""), stand_in] == "0.050"
    line = at(table01, DENSE)
    assert frame.loc[("dense", "linear")].tolist()[:2] == [
        "0.81",
        f"0.800 ± 0.132 [{line['low']:.2f}, {line['high']:.2f}]",
    ]
    assert frame.loc[("dense", "linear"), real].startswith("0.800 [")  # one seed: no deviation
    assert frame.loc[("global", "linear"), stand_in].endswith(", 1 of 3 seeds")
    assert frame.loc[("random", "linear"), real] == "" and frame.loc[("dense", "converged")].iloc[0] == ""


def test_real_rows_are_shown_where_the_files_are_not(table01, depth_videos, results, monkeypatch):
    """Rows measured on real data and committed are shown on a machine without it, and never beside a stand-in's."""
    fill(results, "table01", {DENSE: (16,)}, load_profile("course"))
    with_files = display.side_by_side("table01")
    monkeypatch.delenv("CROSS4D_DATA")
    pd.testing.assert_frame_equal(display.side_by_side("table01"), with_files)


# ------------------------------------------------------------------------------------------------ 4. lines of runs


@pytest.mark.parametrize("profile", ["quick", "course"])
@pytest.mark.parametrize("name", [name for name in tables.table_names() if ARTIFACTS[name].shape != "coverage"])
def test_every_run_has_its_own_line_and_seed(name, profile):
    specs = ARTIFACTS[name].runs(load_profile(profile))
    lines = [(spec.measured_on, ARTIFACTS[name].line(spec)) for spec in specs]
    assert len(set(zip(lines, (spec.seed for spec in specs)))) == len(specs)
    assert len({(data, str(line)) for data, line in lines}) == len(set(lines))


def test_table_2_asks_for_every_teacher_twice_and_shares_table_1_s_runs():
    for name in ("quick", "course"):
        profile = load_profile(name)
        specs = ARTIFACTS["table02"].runs(profile)
        pairs = {(teacher, pretext) for teacher in profile.teachers for pretext in ("global", "dense")}
        assert {(spec.teacher, spec.pretext_name) for spec in specs} == {("", "random")} | pairs
        for teacher in profile.teachers:
            assert {spec.seed for spec in specs if spec.teacher == teacher} == set(profile.seeds)
        keys = lambda table: {spec.key for spec in runs_for(profile, [table])}
        assert len(keys("table01") & keys("table02")) >= 4 * len(profile.seeds) and keys("table18") < keys("table02")


# ------------------------------------------------------------------------------------------------ 5. files


def test_files_hold_the_tables_that_have_lines(table01, results, monkeypatch):
    monkeypatch.setattr(tables, "table_names", lambda: ["table01", "table11", "table16"])
    written = write_tables(QUICK)
    assert written == [results / "quick" / "tables" / f"{name}.csv" for name in ("table01", "table11")]
    kept = pd.read_csv(written[0])
    assert list(kept.columns) == list(table01.drop(columns="line").columns)
    assert kept["method"].tolist() == table01["method"].tolist() and kept["runs"].tolist() == table01["runs"].tolist()
    np.testing.assert_allclose(kept["accuracy"], table01["accuracy"], atol=5e-5)
    assert "0.3000" in written[0].read_text() and write_tables(QUICK) == written  # and again over the old ones


def test_markdown_is_a_table(table01):
    lines = display.markdown(display.side_by_side("table01")).splitlines()
    assert lines[0].startswith("| method | probe | PAPER") and set(lines[1]) <= set("| -")
    assert len({line.count("|") for line in lines}) == 1
