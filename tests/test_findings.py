"""What is said of a table follows from its rows, and changes with them.

Claims proved, on rows written by hand:
1. A comparison is that of ``statistics.compare``: same clips, same subjects, the primary reading decided with the
   others as secondary; the first claim's primary reading is primary, all else secondary.
2. A finding is one sentence with the verdict and numbers of its rows; older code is stated.
3. Pictures are drawn from what there is, within their edges, with alt text that says what they show.
4. A person is coloured by the targets that its own frame's nearest tokens carry, one colour where they carry the same.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from result_rows import SUBJECTS, accuracy, matched, probed, segmented, specs_of, write_row

from cross4d_lib.errors import DataError
from cross4d_lib.evaluation.statistics import VERDICTS, compare
from cross4d_lib.experiments import Claim, Line, load_profile
from cross4d_lib.experiments.artifacts import BEST_GLOBAL, CONTROL_CLAIMS, DENSE, GLOBAL, RANDOM, TWIN, UNCENTRED
from cross4d_lib.experiments.lines import control
from cross4d_lib.pretexts import CONTROLS
from cross4d_lib.pretexts.target_controls import ControlledTargets
from cross4d_lib.report import findings
from cross4d_lib.report.findings import comparison, comparisons, losses
from cross4d_lib.report.plots import accuracy_plot, calibration_matrix
from cross4d_lib.report.tables import BY_WINDOWS, PROBES, table
from cross4d_lib.report.target_figures import carried_figure, on_points

QUICK = load_profile("quick")
RIGHT = {  # of 20, by seed; one more under z-scoring, two more converged
    RANDOM: (3, 4, 4),
    GLOBAL: (5, 5, 5),
    DENSE: (15, 15, 15),
    TWIN: (10, 10, 10),
    BEST_GLOBAL: (5, 6, 5),
    UNCENTRED: (14, 15, 14),
    Line("dense", teacher="position"): (15, 15, 15),
    control("shuffled points"): (8, 9, 8),
    control("frame mean"): (17, 18, 18),
}


def counted(count, seed=0):
    return np.array([c == "1" for c in accuracy(count, seed).correct], float)


@pytest.fixture
def controls(results):
    """A row for every run of ``control_targets``; the loss of global's students hardly falls."""
    specs = specs_of("control_targets", QUICK)
    assert set(specs) == set(RIGHT)
    for line, rights in RIGHT.items():
        end = 0.95 if line == GLOBAL else 0.4
        curve = {} if line == RANDOM else {"curve": {"cosine": [1.0, 0.7, end]}}
        for seed, right in enumerate(rights):
            measures = {"subjects": {"train": SUBJECTS, "test": SUBJECTS}} | curve
            write_row(results, specs[line][seed], probed(right), measures=measures)
    return results


def remove(results, *lines):
    for line in lines:
        for spec in specs_of("control_targets", QUICK)[line].values():
            (results / "quick" / "runs" / f"{spec.key}.json").unlink()


# ------------------------------------------------------------------------------------------------ 1. comparisons


def test_a_comparison_is_that_of_the_statistics(results):
    """global has seeds 0 and 2 alone: dense is compared on these."""
    specs = specs_of("table01", QUICK)
    for line, rights in {DENSE: {0: 14, 1: 15, 2: 19}, GLOBAL: {0: 9, 2: 11}}.items():
        for seed, right in rights.items():
            write_row(results, specs[line][seed], probed(right, seed))
    found = comparison("table01", QUICK, DENSE, GLOBAL)
    assert list(found)[0] == "linear" and set(found) == set(PROBES)
    sides = lambda more: (
        {s: counted(r + more, s) for s, r in ((0, 14), (2, 19))},
        {s: counted(r + more, s) for s, r in ((0, 9), (2, 11))},
    )
    others = [compare(*sides(more), SUBJECTS) for more in (1, 2)]
    assert found["linear"] == compare(*sides(0), SUBJECTS, secondary=others)
    assert found["standardized"] == others[0] and found["linear"].seeds == (0, 2)
    assert comparison("table01", QUICK, DENSE, TWIN) == {}


def test_the_first_claim_s_primary_reading_is_the_primary_one(controls):
    frame = comparisons("control_targets", QUICK)
    assert frame["role"].tolist() == ["primary"] + ["secondary"] * (len(frame) - 1)
    first = frame.iloc[0]
    assert (first["first"], first["second"], first["reading"]) == ("dense", "dense (frame mean)", "linear")
    assert set(frame["verdict"]) <= set(VERDICTS) == set(findings.legend_of_verdicts().index)
    verdicts = frame[frame["reading"] == "linear"].set_index("second")["verdict"]
    assert verdicts["dense (shuffled points)"] == "supported" and verdicts["dense (position alone)"] == "undecided"
    one = comparisons("control_targets", QUICK, (Claim(GLOBAL, DENSE, "global is better than dense"),))
    assert one["verdict"].iloc[0] == "reversed" and one["difference"].iloc[0] == pytest.approx(-0.5)
    shown = findings.verdict_table(frame)
    assert list(shown.columns) == ["linear", "converged", "standardized", "seeds", "code"]
    assert len(shown) == len(CONTROL_CLAIMS)


def test_the_primary_table_holds_one_reading_a_claim_and_names_what_is_not_run(controls, monkeypatch):
    monkeypatch.setattr(findings, "shown_profiles", lambda: [QUICK])
    remove(controls, BEST_GLOBAL)
    shown = findings.primary_table("control_targets")
    assert len(shown) == len(CONTROL_CLAIMS) and set(shown["reading"]) == {"linear"}
    row = shown.loc[("quick", "synthetic-actions", "dense − dense (shuffled points)")]
    assert (row["claim"], row["verdict"], row["seeds"]) == ("a target must be that of the right place", "supported", 3)
    assert shown.loc[("quick", "control_targets", f"dense (frame mean) − {BEST_GLOBAL}")]["verdict"] == "not run"
    monkeypatch.setattr(findings, "shown_profiles", lambda: [])
    assert findings.primary_table("control_targets").empty


def test_the_verdict_words_stand_beside_their_numbers(results):
    """Behind under z-scoring, ahead under the paper's probe: mixed."""
    specs = specs_of("table01", QUICK)
    for seed in (0, 1, 2):
        write_row(results, specs[DENSE][seed], dict(zip(PROBES, (accuracy(16), accuracy(2), accuracy(10)))))
        write_row(results, specs[GLOBAL][seed], dict(zip(PROBES, (accuracy(2), accuracy(16), accuracy(10)))))
    (line,) = [line for line in findings.findings("table01", QUICK) if "dense − global +" in line]
    assert "mixed (dense − global +0.70" in line


def test_coordinates_are_compared_on_the_rows_of_the_other_line(results):
    specs, measures = specs_of("table16", QUICK), {"subjects": {"test": SUBJECTS, "test-identities": SUBJECTS}}
    metrics = {
        f"{name}, gap {gap}": matched(value) for name, value in (("cosine", 0.5), ("raw XYZ", 0.3)) for gap in (8, 15)
    }
    write_row(results, specs[DENSE][0], metrics, measures=measures)
    found = comparison("table16", QUICK, DENSE, Line("raw XYZ"))
    assert list(found) == ["cosine, gap 8", "cosine, gap 15"] and found["cosine, gap 8"].difference == pytest.approx(
        0.2
    )


def test_what_a_class_is_found_in_is_compared_within_rows(results):
    """Target, place and students stand in one row."""
    specs, measures = (
        specs_of("control_readability", QUICK),
        {"subjects": {"test": SUBJECTS, "test-identities": SUBJECTS}},
    )
    metrics = {name: segmented(k) for k, name in enumerate(("targets", "place", "student", "untrained student"))}
    write_row(results, specs[DENSE][0], metrics, measures=measures)
    found = comparison("control_readability", QUICK, Line("targets"), Line("place"))
    assert list(found) == ["targets"]
    write_row(results, specs[DENSE][0], metrics, measures=measures, older=True)
    (results / "quick" / "runs" / f"{specs[DENSE][0].key}.json").unlink()
    assert set(comparisons("control_readability", QUICK)["code"]) == {"older"}
    assert found["targets"].difference == pytest.approx(metrics["targets"].mIoU - metrics["place"].mIoU)


# ------------------------------------------------------------------------------------------------ 2. sentences


def test_a_finding_is_one_sentence(controls):
    sentences = findings.findings("control_targets", QUICK)
    assert len(sentences) == len(CONTROL_CLAIMS) and all("\n" not in line for line in sentences)
    (place,) = [line for line in sentences if "right place" in line]
    c = comparison("control_targets", QUICK, DENSE, control("shuffled points"))["linear"]
    numbers = f"dense − dense (shuffled points) {c.difference:+.2f} [{c.low:+.2f}, {c.high:+.2f}], linear, seeds 0 1 2"
    assert place == f"A target must be that of the right place on synthetic-actions: supported ({numbers})."
    spec = specs_of("control_targets", QUICK)[DENSE][1]
    (controls / "quick" / "runs" / f"{spec.key}.json").unlink()
    write_row(controls, spec, probed(15), older=True)
    older = ["synthetic-actions, older code:" in line for line in findings.findings("control_targets", QUICK)]
    assert older == [DENSE in (claim.first, claim.second) for claim in CONTROL_CLAIMS]


def test_losses_name_students_that_hardly_learned(controls):
    found = losses("control_targets", QUICK)
    assert found.loc["global", "stuck"] == 3 and found.loc["dense", "stuck"] == 0
    assert found.loc["dense", "last epoch"] == pytest.approx(0.4) and "random" not in found.index


def test_without_rows_nothing_is_said(results):
    assert findings.findings("control_targets", QUICK) == [] and losses("control_targets", QUICK).empty
    assert findings.verdict_table(comparisons("table01", QUICK)).empty
    with pytest.raises(DataError, match="control_calibration"):
        calibration_matrix(table("control_calibration", QUICK))


# ------------------------------------------------------------------------------------------------ 3. pictures


def within_edges(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box, (width, height) = figure.get_tightbbox(canvas.get_renderer()), figure.get_size_inches()
    return box.x0 >= -0.01 and box.y0 >= -0.01 and box.x1 <= width + 0.01 and box.y1 <= height + 0.01


def test_the_plot_of_accuracies(controls):
    frame = table("table01", QUICK)
    figure = accuracy_plot([frame, frame])
    assert within_edges(figure) and "dense 0.75" in figure.get_label()
    stars = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert [line.get_xdata()[0] for line in stars] == [0.42, 0.64, 0.81]


def test_the_picture_of_the_calibration(results):
    """Two windows, five probes; the paper's two values stand below the columns they belong to."""
    for spec in specs_of("control_calibration", QUICK)[Line("random", clip="8 x 256, stride uniform")].values():
        write_row(results, spec, {key: accuracy(5 + k) for k, key in enumerate(BY_WINDOWS)})
    frame = table("control_calibration", QUICK)
    assert set(zip(frame["probe"], frame["windows"])) == {(at["probe"], at["windows"]) for at in BY_WINDOWS.values()}
    stated = frame.groupby("probe")["paper"].first().dropna()
    assert dict(stated) == {"Adam 0.001": 0.42, "standardized": 0.59}
    figure = calibration_matrix(frame, note="a note")
    assert within_edges(figure) and "STAND-IN" in figure.axes[0].get_title()
    assert "5 windows: Adam 0.001 0.50" in figure.get_label()
    assert [label.get_text().split("\n")[-1] for label in figure.axes[0].get_xticklabels()][0] == "paper 0.42"


# ------------------------------------------------------------------------------------------------ 4. a person


def test_a_point_takes_the_nearest_token_that_carries_a_target(finished):
    """Against a search by hand."""
    for targets in (finished, *(ControlledTargets(finished, name, 1) for name in ("shuffled points", "frame mean"))):
        batch, found = targets.batch([2]), on_points(targets, 2, frame=1)
        cloud, frame, point = batch.points[0, 1], batch.grouping["frame"][0], batch.grouping["point"][0]
        for n, place in enumerate(cloud):
            tokens = [j for j in range(len(frame)) if frame[j] == 1 and batch.visible[0, j]]
            nearest = min(tokens, key=lambda j: (cloud[point[j]] - place).square().sum().item())
            assert np.array_equal(found[n], batch.targets[0, nearest].numpy())
    batch = finished.batch([2])
    unseen = SimpleNamespace(points=batch.points, grouping=batch.grouping, visible=batch.visible & False)
    hidden = SimpleNamespace(dim=finished.dim, batch=lambda indices: unseen)
    assert np.isnan(on_points(hidden, 2, frame=1)).all()  # nobody carries one


def test_the_figure_of_carried_targets(finished, clips):
    figure = carried_figure(finished, clips[3], 3, 1, {"another": finished}, note="a note")
    FigureCanvasAgg(figure).draw()
    heads = {text.get_text().replace("\n", " ") for text in figure.texts}
    assert heads >= {"dense", *CONTROLS, "another"} and "a note" in heads and within_edges(figure)
    points = [ax.collections[0].get_facecolors()[:, :3] for ax in figure.axes[:-1]]  # two panels a column, the bar last
    assert len(points) == 2 * (2 + len(CONTROLS))
    upper = dict(zip(["dense", *CONTROLS, "another"], points[::2]))
    assert len(np.unique(upper["frame mean"], axis=0)) == 1 < len(np.unique(upper["dense"], axis=0))
    assert np.array_equal(upper["dense"], upper["another"])  # the same store under a PCA fitted alike
