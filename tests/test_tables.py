"""A table says what its rows say, beside the paper, and where every number comes from.

Claims proved, on rows written by hand:
1. A line's mean, deviation, interval and provenance are those of its rows; a run that has no row adds nothing to it,
and a
   method without rows has no line.
2. The paper's column holds the paper's numbers, where the paper has one and for the probe it used.
3. Numbers of different kinds never share an unlabelled column: a column's name says profile, data, kind, clip and
clips.
4. Comparisons pair the same clips and the same seeds.
5. Files are written for tables that have lines, and hold the same numbers.
"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import FRAMES, POINTS

from cross4d_lib.evaluation import bootstrap_interval, paired_bootstrap
from cross4d_lib.experiments import ARTIFACTS, load_profile
from cross4d_lib.report import paper, registry, tables
from cross4d_lib.report.registry import write_tables
from cross4d_lib.report.tables import comparison, correct_matrix, measured, method_of, side_by_side

CLIPS = 20
STATED = {"random": 0.42, "global": 0.64, "dense": 0.81}  # Table 1, MSR-Action3D


def write_row(results, spec, right, **changes):
    """A row as run() writes it. right : of CLIPS, for the linear probe; one more for the standardised, two for the
    converged. The clips that are right are the first ones, shifted by the seed."""
    metrics = {}
    for extra, probe in enumerate(tables.PROBES):
        correct = np.roll(np.arange(CLIPS) < right + extra, spec.seed)
        metrics[probe] = {
            "accuracy": float(correct.mean()),
            "low": 0.0,
            "high": 1.0,
            "correct": "".join("01"[int(c)] for c in correct),
        }
    row = {
        "key": spec.key,
        "spec": spec.canonical(),
        "profile": spec.profile,
        "dataset": spec.dataset,
        "stand_in": spec.dataset.startswith("synthetic"),
        "teacher": spec.teacher,
        "teacher_revision": "r",
        "seed": spec.seed,
        "metrics": metrics,
        "measures": {},
        "chance": 0.05,
        "clips_trained": 80,
        "clips_evaluated": CLIPS,
        "commit": "0123456789ab",
        "dirty": False,
        "versions": {},
        "date": f"2026-01-0{spec.seed + 1}T00:00:00+00:00",
        "config_hash": spec.key,
        "data_hash": {},
        "device": "cpu",
        "seconds": 1.0,
        **changes,
    }
    path = results / spec.profile / "runs" / f"{spec.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row))
    return row


def runs(artifact="table01", profile="quick"):
    """method -> its specs by seed, in the manifest's order."""
    found = {}
    for spec in ARTIFACTS[artifact].runs(load_profile(profile)):
        found.setdefault(method_of(spec), {})[spec.seed] = spec
    return found


@pytest.fixture
def quick(results):
    """Table 1 of the quick profile: random 4, 6, 8 right of 20 by seed; global one seed; dense 14, 15, 19; no
    control."""
    specs = runs()
    for method, rights in {"random": (4, 6, 8), "global": (9,), "dense": (14, 15, 19)}.items():
        for seed, right in enumerate(rights):
            write_row(results, specs[method][seed], right)
    return load_profile("quick")


def line_of(frame, method, probe="linear"):
    (line,) = (line for _, line in frame.iterrows() if (line["method"], line["probe"]) == (method, probe))
    return line


# ------------------------------------------------------------------------------------------------ 1. lines


def test_a_line_is_mean_and_deviation_of_its_rows(quick):
    """random: accuracies .2, .3, .4: mean .3, deviation sqrt((.01 + 0 + .01) / 2) = .1. dense: .7, .75, .95: mean .8,
    deviation sqrt((.01 + .0025 + .0225) / 2) = .1323. One row has no deviation."""
    frame = measured(quick, ARTIFACTS["table01"].runs(quick))
    random, dense, one = (line_of(frame, method) for method in ("random", "dense", "global"))
    assert (random["accuracy"], random["std"]) == (pytest.approx(0.3), pytest.approx(0.1))
    assert (dense["accuracy"], dense["std"]) == (pytest.approx(0.8), pytest.approx(0.13229, abs=1e-5))
    assert one["accuracy"] == pytest.approx(0.45) and np.isnan(one["std"])
    assert (random["seeds"], one["seeds"]) == ("0 1 2", "0")
    assert [line_of(frame, "random", probe)["accuracy"] for probe in ("standardized", "converged")] == pytest.approx(
        [0.35, 0.4]
    )
    assert (
        set(frame["method"]) == {"random", "global", "dense"} and len(frame) == 9
    )  # no line for a method without rows


def test_the_interval_resamples_clips_each_counted_by_its_mean_over_seeds(quick):
    """random: seeds 0, 1, 2 have clips 0-3, 1-6 and 2-9 right."""
    shares = np.zeros(CLIPS)
    for seed, right in enumerate((4, 6, 8)):
        shares[seed : seed + right] += 1 / 3
    line = line_of(measured(quick, ARTIFACTS["table01"].runs(quick)), "random")
    assert (line["low"], line["high"]) == pytest.approx(bootstrap_interval(shares))
    assert line["low"] < line["accuracy"] < line["high"]


def test_a_line_says_where_it_comes_from(quick, results):
    specs = runs()["dense"]
    write_row(results, specs[1], 15, commit="ba9876543210", dirty=True, device="a GPU")
    line = line_of(measured(quick, list(specs.values())), "dense")
    assert (line["data"], line["kind"], line["teacher"], line["profile"]) == (
        "synthetic-actions",
        "synthetic stand-in",
        "cross4d-tiny",
        "quick",
    )
    assert line["clip"] == f"{quick.frames} x {quick.points}, stride {quick.stride}" and line["epochs"] == quick.epochs
    assert (line["clips_trained"], line["clips_evaluated"], line["chance"]) == (80, CLIPS, 0.05)
    assert (
        line["device"] == "a GPU cpu"
        and line["commit"] == "0123456789ab ba9876543210"
        and line["dirty"] == "False True"
    )
    assert line["date"] == "2026-01-03T00:00:00+00:00" and line["runs"].split() == sorted(
        spec.key for spec in specs.values()
    )


def test_no_rows_no_lines(results):
    quick = load_profile("quick")
    assert len(measured(quick, ARTIFACTS["table01"].runs(quick))) == 0
    for name in ("table01", "table11", "table14", "control_global_target", "control_centring"):
        assert len(registry.TABLES[name](quick)) == 0


def test_methods_are_told_apart():
    """Every line of every measured table has its own name (Table 2's have their teacher's beside it, control_length's
    their epochs), and an untrained teacher is named as one."""
    assert set(runs()) == {"random", "global", "dense", "dense (UNTRAINED teacher)"}
    assert set(runs("table14")) == {"dense", "dense (lambda = 0)"}
    assert set(runs("control_centring")) == {"dense", "dense (not centred)"}
    assert set(runs("control_global_target")) == {"global", "global (patch mean)"}
    for name, artifact in ARTIFACTS.items():
        specs = (
            artifact.runs(load_profile("quick")) if artifact.ready and name != "control_sweep" else []
        )  # its lines are named by axis and value
        assert len(
            {
                (
                    method_of(spec),
                    spec.teacher if name in ("table02", "table18") else "",
                    spec.epochs if name == "control_length" else 0,
                    spec.dataset,
                    spec.measured_on,
                    spec.cameras,
                    spec.merge,
                    spec.frames,
                    spec.seed,
                )
                for spec in specs
            }
        ) == len(specs), name


def test_correctness_is_read_digit_by_digit():
    rows = [{"metrics": {"linear": {"correct": digits}}} for digits in ("0110", "1000")]
    assert correct_matrix(rows, "linear").tolist() == [[False, True, True, False], [True, False, False, False]]


# ------------------------------------------------------------------------------------------------ 2. the paper's column


def test_table_1_beside_the_papers(quick):
    frame = tables.table01(quick)
    assert list(frame.columns[:5]) == ["method", "probe", "paper", "accuracy", "std"]
    for method, value in STATED.items():
        assert line_of(frame, method)["paper"] == value == paper.TABLE_1["msr-action3d"][method][0]
        for probe in ("standardized", "converged"):  # the paper has no such number
            assert np.isnan(line_of(frame, method, probe)["paper"])


def test_table_1_of_an_untrained_teacher_has_no_number_of_the_papers(quick, results):
    write_row(results, runs()["dense (UNTRAINED teacher)"][0], 10)
    line = line_of(tables.table01(quick), "dense (UNTRAINED teacher)")
    assert np.isnan(line["paper"]) and line["teacher"] == "cross4d-tiny/untrained" and line["accuracy"] == 0.5


def test_table_11_beside_the_papers(quick):
    """.40 and .59 for random, .80 and .79 for dense: without and with standardisation."""
    frame = tables.table11(quick)
    assert set(frame["method"]) == {"random", "dense"}
    stated = {
        (method, probe): line_of(frame, method, probe)["paper"]
        for method in ("random", "dense")
        for probe in ("linear", "standardized")
    }
    assert stated == {
        ("random", "linear"): 0.40,
        ("random", "standardized"): 0.59,
        ("dense", "linear"): 0.80,
        ("dense", "standardized"): 0.79,
    }
    assert np.isnan(line_of(frame, "dense", "converged")["paper"])


def test_table_14_beside_the_papers(quick, results):
    """Its first line reads the rows of Table 1's dense runs: the same runs."""
    for seed, spec in runs("table14")["dense (lambda = 0)"].items():
        write_row(results, spec, 13 + seed)
    frame = tables.table14(quick)
    assert line_of(frame, "dense")["accuracy"] == pytest.approx(0.8)
    assert (line_of(frame, "dense")["paper"], line_of(frame, "dense (lambda = 0)")["paper"]) == (0.836, 0.821)


def test_our_own_tables_claim_no_number_of_the_papers(quick, results):
    write_row(results, runs("control_centring")["dense (not centred)"][0], 12)
    write_row(results, runs("control_global_target")["global (patch mean)"][0], 7)
    for table, methods in (
        (tables.control_centring, {"dense", "dense (not centred)"}),
        (tables.control_global_target, {"global", "global (patch mean)"}),
    ):
        frame = table(quick)
        assert set(frame["method"]) == methods and frame["paper"].isna().all()


def test_table_8_states_what_was_found_and_what_is_missing(depth_videos, results, monkeypatch):
    """The little depth videos hold 12 training and 12 test videos of 5 frames: nothing of 3 frames is padded, points
    are."""
    course = replace(
        load_profile("course"),
        frames=FRAMES,
        points=POINTS,
        stride="uniform",
        clips=2,
        roles={"hands": ("synthetic-scenes",)},
    )
    frame = tables.table08(course).set_index("data")
    assert (
        frame.loc["msr-action3d", "kind"] == "real" and frame.loc["synthetic-actions", "kind"] == "synthetic stand-in"
    )
    assert (frame.loc["msr-action3d", "paper train"], frame.loc["msr-action3d", "paper frames"]) == (270, 24)
    assert (frame["train"].tolist(), frame["frames"].tolist(), set(frame["profile"])) == (
        [2, 2, 0],
        [FRAMES] * 3,
        {"course"},
    )
    assert (
        frame.loc["synthetic-scenes", "train found"] == "not measured"
        and frame.loc["synthetic-scenes", "paper train"] == 1776
    )
    assert (
        frame.loc["msr-action3d", "train found"] == "2 of 270 (train), 24 of 567 in all"
        and frame.loc["msr-action3d", "train frames_repeated"] == 0
    )
    monkeypatch.setenv("CROSS4D_DATA", str(depth_videos.parent / "nowhere"))
    frame = tables.table08(course).set_index("data")
    assert frame.loc["msr-action3d", "train"] == 0 and "not present" in frame.loc["msr-action3d", "train found"]


def test_table_9_counts_what_the_paper_states():
    frame = tables.table09(load_profile("paper")).set_index("component")
    encoder, head = frame.loc["Point4D encoder"], frame.loc["dense per-token head"]
    assert (
        encoder["parameters (M)"]
        == pytest.approx(encoder["paper parameters (M)"], rel=0.01)
        == pytest.approx(3.28, rel=0.01)
    )
    assert encoder["FLOPs without attention products (G)"] < encoder["FLOPs with joint attention (G)"]
    assert (
        head["parameters (M)"] == pytest.approx(0.098688)
        and round(head["FLOPs with joint attention (G)"], 1) == head["paper FLOPs (G)"] == 0.3
    )


# ------------------------------------------------------------------------------------------------ 3. kinds never mix


def test_side_by_side_labels_every_column_with_its_kind(quick, depth_videos, results):
    """A profile on the stand-in and one on real data stand in two columns, each saying so; one without rows has
    none."""
    specs = runs(profile="course")
    write_row(results, specs["dense"][0], 16, clips_evaluated=290)
    frame = side_by_side(tables.table01)
    stand_in = f"quick: SYNTHETIC STAND-IN synthetic-actions, {quick.frames} x {quick.points}, stride {quick.stride}, {CLIPS} test clips"
    real = "course: REAL msr-action3d, 12 x 512, stride uniform, 290 test clips"
    assert list(frame.columns) == ["paper: msr-action3d, DINOv2-large, 24 x 2048", stand_in, real]
    assert frame.index[0] == ("chance", "") and frame.loc[("chance", ""), stand_in] == "0.050"
    line = line_of(tables.table01(quick), "dense")
    assert frame.loc[("dense", "linear")].tolist() == [
        "0.81",
        f"0.800 ± 0.132 [{line['low']:.2f}, {line['high']:.2f}]",
        frame.loc[("dense", "linear"), real],
    ]
    assert frame.loc[("dense", "linear"), real].startswith("0.800 [")  # one seed: no deviation
    assert frame.loc[("random", "linear"), real] == "" and frame.loc[("dense", "converged")].iloc[0] == ""


def test_real_rows_are_shown_where_the_files_are_not(quick, depth_videos, results, monkeypatch):
    """Rows measured on real data and committed are shown on a machine without it, and never beside a stand-in's."""
    write_row(results, runs(profile="course")["dense"][0], 16)
    with_files = side_by_side(tables.table01)
    monkeypatch.delenv("CROSS4D_DATA")
    pd.testing.assert_frame_equal(side_by_side(tables.table01), with_files)


def test_longer_training_is_a_line_each(quick, results):
    profile = load_profile("quick")
    asked = ARTIFACTS["control_length"].runs(profile)
    assert sorted(spec.epochs for spec in asked if spec.augmented) == [
        profile.epochs // 3,
        profile.epochs,
        2 * profile.epochs,
    ]
    of_epochs = {spec.epochs: spec for spec in asked if not spec.augmented}
    assert sorted(of_epochs) == [0, profile.epochs // 3, profile.epochs, 2 * profile.epochs] and {
        spec.seed for spec in of_epochs.values()
    } == {0}
    assert (
        of_epochs[profile.epochs].key == runs()["dense"][0].key
    )  # Table 1's own, where the controls have no teacher of their own
    write_row(results, of_epochs[2 * profile.epochs], 15)
    frame = tables.control_length(profile)
    assert frame["paper"].isna().all() and line_of(frame, "dense, twice the epochs")["accuracy"] == 0.75
    assert [tables.length_line(spec) for spec in asked[:5]] == [
        "random",
        "dense, a third of the epochs",
        "dense, all epochs",
        "dense, twice the epochs",
        "dense (augmented), a third of the epochs",
    ]


def test_what_helped_is_named_by_its_cameras(quick, results):
    asked = ARTIFACTS["control_together"].runs(quick)
    assert [tables.together_line(spec) for spec in asked if spec.seed == 0] == [
        "random",
        "dense, 1 camera",
        "dense, 4 cameras",
        "dense (augmented), 1 camera",
        "dense (augmented), 4 cameras",
    ]
    write_row(results, next(spec for spec in asked if spec.augmented and spec.cameras == 4), 15)
    assert line_of(tables.control_together(quick), "dense (augmented), 4 cameras")["accuracy"] == 0.75


def test_students_of_an_in_domain_teacher_stand_beside_those_of_its_start(quick, results):
    """Only ``course`` asks for them; the dataset in the teacher's name is the one the student is trained on, stand-in
    or not."""
    assert ARTIFACTS["control_in_domain"].runs(quick) == []
    course = load_profile("course")
    asked = ARTIFACTS["control_in_domain"].runs(course)
    dataset = asked[0].dataset
    assert {(method_of(spec), spec.teacher) for spec in asked} == {
        ("random", ""),
        *(
            (f"{pretext}{mark}", teacher)
            for pretext in ("global", "dense")
            for mark, teacher in (("", course.controls["teacher"]), (" (IN-DOMAIN teacher)", f"in-domain/{dataset}"))
        ),
    }
    write_row(
        results,
        next(spec for spec in asked if spec.teacher == f"in-domain/{dataset}" and spec.pretext == "dense"),
        15,
        teacher_mark="IN-DOMAIN",
    )
    line = line_of(tables.control_in_domain(course), "dense (IN-DOMAIN teacher)")
    assert line["accuracy"] == 0.75 and line["teacher"] == f"in-domain/{dataset}"


def test_side_by_side_says_where_seeds_are_missing(quick, results):
    write_row(results, runs()["dense (UNTRAINED teacher)"][0], 10)
    column = side_by_side(tables.table01).filter(like="quick").iloc[:, 0]
    assert (
        column["dense (UNTRAINED teacher)", "linear"].endswith(", 1 of 3 seeds")
        and "seeds" not in column["dense", "linear"]
    )


def test_side_by_side_of_nothing_is_empty(results):
    assert side_by_side(tables.table01).empty


# ------------------------------------------------------------------------------------------------ 4. comparisons


def test_a_comparison_pairs_clips_and_seeds(quick, results):
    """global has seed 0 alone: dense is compared on seed 0 alone. Then global gets seed 2, and both are compared on 0
    and 2."""
    alone = comparison(quick)
    right = lambda count, seed: np.roll(np.arange(CLIPS) < count, seed)
    assert (alone["by seed"], alone["difference"]) == ([0.25], pytest.approx(0.25))
    assert {k: alone[k] for k in ("low", "high", "p")} == {
        k: v for k, v in paired_bootstrap(right(14, 0), right(9, 0)).items() if k != "difference"
    }
    write_row(results, runs()["global"][2], 11)
    both = comparison(quick)
    assert both["by seed"] == [0.25, 0.4] and both["difference"] == pytest.approx(0.325)
    expected = paired_bootstrap(np.stack([right(14, 0), right(19, 2)]), np.stack([right(9, 0), right(11, 2)]))
    assert {k: both[k] for k in expected} == expected
    assert comparison(quick, "dense", "dense (UNTRAINED teacher)") == {}
    back = comparison(quick, "global", "dense", probe="converged")
    assert back["by seed"] == [-0.25, -0.35] and back["probe"] == "converged"  # 11 - 16 and 13 - 20 of 20


# ------------------------------------------------------------------------------------------------ 5. files


def test_files_hold_the_tables_that_have_lines(quick, results, monkeypatch):
    monkeypatch.setattr(
        registry,
        "TABLES",
        {name: registry.TABLES[name] for name in ("table01", "table11", "control_centring", "control_global_target")},
    )
    for seed in (0, 1, 2):  # no rows for this table's runs
        (results / "quick" / "runs" / f"{runs()['global'][seed].key}.json").unlink(missing_ok=True)
    written = write_tables(quick)
    assert written == [
        results / "quick" / "tables" / f"{name}.csv" for name in ("table01", "table11", "control_centring")
    ]
    frame, kept = tables.table01(quick), pd.read_csv(written[0])
    assert list(kept.columns) == list(frame.columns)
    assert kept["method"].tolist() == frame["method"].tolist() and kept["runs"].tolist() == frame["runs"].tolist()
    np.testing.assert_allclose(kept["accuracy"], frame["accuracy"], atol=5e-5)
    assert "0.3000" in written[0].read_text()
    assert write_tables(quick) == written  # and again over the old ones
