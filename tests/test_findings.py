"""What is said of a table follows from its rows, and changes with them.

Claims proved, on rows written by hand:
1. A comparison is that of ``statistics.compare``: same clips, same subjects, the primary reading decided with the
   others as secondary; the first claim's primary reading is primary, all else secondary.
2. A finding is one sentence with the verdict and numbers of its rows; older code is stated.
3. The steps of each path add up to the difference between global and dense, under every probe.
4. The sweep's differences are comparisons with its base and with random; points that have not been run are left out.
5. Pictures are drawn from what there is, within their edges, with alt text that says what they show.
6. A person is coloured by the targets that its own frame's nearest tokens carry, one colour where they carry the same.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from result_rows import SUBJECTS, accuracy, matched, probed, segmented, specs_of, write_row

from cross4d_lib.errors import DataError
from cross4d_lib.evaluation import POOLS
from cross4d_lib.evaluation.statistics import VERDICTS, compare
from cross4d_lib.experiments import ARTIFACTS, Claim, Line, load_profile
from cross4d_lib.experiments.artifacts import DENSE, GLOBAL, RANDOM, TWIN
from cross4d_lib.experiments.lines import control
from cross4d_lib.experiments.sweep import sweep_points
from cross4d_lib.pretexts import CONTROLS
from cross4d_lib.pretexts.target_controls import ControlledTargets
from cross4d_lib.report import findings
from cross4d_lib.report.findings import PATHS, comparison, comparisons, losses, steps
from cross4d_lib.report.plots import accuracy_plot, paths_figure, sweep_figure
from cross4d_lib.report.tables import PROBES, table
from cross4d_lib.report.target_figures import carried_figure, on_points

QUICK = load_profile("quick")
RIGHT = {  # of 20, by seed; one more under z-scoring, two more converged
    RANDOM: (3, 4, 4),
    GLOBAL: (5, 5, 5),
    DENSE: (15, 15, 15),
    TWIN: (10, 10, 10),
    Line("global", (("summary", "mean"),)): (5, 6, 5),
    Line("dense", teacher="position"): (10, 10, 10),
    Line("dense", teacher="geometry"): (15, 15, 15),
    Line("dense", teacher="grey"): (8, 8, 8),
    control("shuffled points"): (8, 9, 8),
    control("shuffled frames"): (14, 16, 15),
    control("shuffled clips"): (6, 6, 6),
    control("broadcast"): (6, 7, 6),
    control("broadcast frames"): (7, 7, 7),
    control("broadcast frame means"): (17, 18, 18),
}


def counted(count, seed=0):
    return np.array([c == "1" for c in accuracy(count, seed).correct], float)


@pytest.fixture
def controls(results):
    """A row for every run of ``control_targets``; the loss of broadcast's students hardly falls."""
    specs = specs_of("control_targets", QUICK)
    assert set(specs) == set(RIGHT) and {line for of in PATHS.values() for _, line in of} <= set(RIGHT)
    for line, rights in RIGHT.items():
        end = 0.95 if line == control("broadcast") else 0.4
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
    assert (first["first"], first["second"], first["reading"]) == ("dense", "dense (UNTRAINED teacher)", "linear")
    assert set(frame["verdict"]) <= set(VERDICTS) == set(findings.legend_of_verdicts().index)
    verdicts = frame[frame["reading"] == "linear"].set_index("second")["verdict"]
    assert verdicts["dense (shuffled points)"] == "supported" and verdicts["dense (geometry alone)"] == "undecided"
    one = comparisons("control_targets", QUICK, (Claim(GLOBAL, DENSE, "global is better than dense"),))
    assert one["verdict"].iloc[0] == "reversed" and one["difference"].iloc[0] == pytest.approx(-0.5)
    shown = findings.verdict_table(frame)
    assert (
        list(shown.columns) == ["linear", "converged", "standardized", "seeds", "code"] and len(shown) == len(RIGHT) - 3
    )


def test_the_primary_table_holds_one_reading_a_claim_and_names_what_is_not_run(controls, monkeypatch):
    monkeypatch.setattr(findings, "shown_profiles", lambda: [QUICK])
    remove(controls, control("broadcast"))
    shown = findings.primary_table("control_targets")
    assert len(shown) == len(RIGHT) - 3 and set(shown["reading"]) == {"linear"}
    row = shown.loc[("quick", "synthetic-actions", "dense − dense (shuffled points)")]
    assert (row["claim"], row["verdict"], row["seeds"]) == ("a target must be that of the right place", "supported", 3)
    assert shown.loc[("quick", "control_targets", "dense − dense (broadcast)")]["verdict"] == "not run"
    monkeypatch.setattr(findings, "shown_profiles", lambda: [])
    assert findings.primary_table("control_targets").empty


def test_the_verdict_words_stand_beside_their_numbers(results):
    """Behind under z-scoring, ahead under the paper's probe: mixed."""
    specs = specs_of("table01", QUICK)
    for seed in (0, 1, 2):
        write_row(results, specs[DENSE][seed], dict(zip(PROBES, (accuracy(16), accuracy(2), accuracy(10)))))
        write_row(results, specs[GLOBAL][seed], dict(zip(PROBES, (accuracy(2), accuracy(16), accuracy(10)))))
    (line,) = [line for line in findings.findings("table01", QUICK) if "global" in line]
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
    assert len(sentences) == len(RIGHT) - 3 and all("\n" not in line for line in sentences)
    (place,) = [line for line in sentences if "right place" in line]
    c = comparison("control_targets", QUICK, DENSE, control("shuffled points"))["linear"]
    numbers = f"dense − dense (shuffled points) {c.difference:+.2f} [{c.low:+.2f}, {c.high:+.2f}], linear, seeds 0 1 2"
    assert place == f"A target must be that of the right place on synthetic-actions: supported ({numbers})."
    spec = specs_of("control_targets", QUICK)[DENSE][1]
    (controls / "quick" / "runs" / f"{spec.key}.json").unlink()
    write_row(controls, spec, probed(15), older=True)
    assert all("synthetic-actions, older code:" in line for line in findings.findings("control_targets", QUICK))


def test_losses_name_students_that_hardly_learned(controls):
    found = losses("control_targets", QUICK)
    assert found.loc["dense (broadcast)", "stuck"] == 3 and found.loc["dense", "stuck"] == 0
    assert found.loc["dense", "last epoch"] == pytest.approx(0.4) and "random" not in found.index


def test_without_rows_nothing_is_said(results):
    assert findings.findings("control_targets", QUICK) == [] and losses("control_targets", QUICK).empty
    assert steps(QUICK).empty and findings.verdict_table(comparisons("table01", QUICK)).empty
    for draw, name in ((paths_figure, "control_targets"), (sweep_figure, "control_sweep")):
        with pytest.raises(DataError, match=name):
            draw(table(name, QUICK))


# ------------------------------------------------------------------------------------------------ 3. 5. paths


def test_each_path_adds_up_to_the_difference(controls):
    frame = steps(QUICK)
    assert set(frame["path"]) == set(PATHS)
    for (path, _), part in frame.groupby(["path", "reading"]):
        assert len(part) == len(PATHS[path]) and part["difference"].sum() == pytest.approx(0.5)
        assert part["from"].iloc[0] == "global" and part["to"].iloc[-1] == "dense"
    remove(controls, control("broadcast"))
    assert "dense (broadcast)" not in set(steps(QUICK)["from"])


def within_edges(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box, (width, height) = figure.get_tightbbox(canvas.get_renderer()), figure.get_size_inches()
    return box.x0 >= -0.01 and box.y0 >= -0.01 and box.x1 <= width + 0.01 and box.y1 <= height + 0.01


@pytest.mark.parametrize("missing", [(), (control("broadcast"), Line("dense", teacher="position"))])
def test_the_picture_of_paths(controls, missing):
    remove(controls, *missing)
    figure = paths_figure(table("control_targets", QUICK), note="a note")
    assert within_edges(figure) and "dense 0.75" in figure.get_label() and "STAND-IN" in figure.get_label()
    left = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert left[0] == "dense (broadcast frame means)" and set(left) == {str(line) for line in set(RIGHT) - set(missing)}
    drawn = figure.axes[1].lines[0].get_ydata()
    assert drawn[-1] == pytest.approx(0.75) and np.isnan(drawn[1]) == bool(missing)


def test_the_plot_of_accuracies(controls):
    frame = table("table01", QUICK)
    figure = accuracy_plot([frame, frame])
    assert within_edges(figure) and "dense 0.75" in figure.get_label()
    stars = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert [line.get_xdata()[0] for line in stars] == [0.42, 0.64, 0.81]


# ------------------------------------------------------------------------------------------------ 4. the sweep


@pytest.fixture
def sweep(results):
    """Rows of the whole sweep but for the widest student: base 8 of 20, twice the tokens 16, random 4 everywhere."""
    for point in sweep_points(QUICK):
        if (point.axis, point.value) != ("student's width", "128"):
            dense = 16 if (point.axis, point.value) == ("tokens a frame", "32") else 8
            for spec, right in ((point.random, 4), (point.dense, dense)):
                metrics = {f"{pool}/{probe}": accuracy(right) for pool in POOLS for probe in PROBES}
                write_row(results, spec, metrics)
    return table("control_sweep", QUICK)


def test_the_table_of_the_sweep(sweep):
    assert "128" not in set(sweep[sweep["axis"] == "student's width"]["value"])
    chosen = sweep.set_index(["axis", "value", "method", "pool", "probe"])
    line = chosen.loc[("tokens a frame", "32", "dense", "mean", "converged")]
    c = compare({0: counted(16)}, {0: counted(8)}, SUBJECTS)
    assert (line["over base"], line["over base low"], line["over base high"]) == (c.difference, c.low, c.high)
    assert (line["over random"], line["beyond random"]) == (pytest.approx(0.6), pytest.approx(0.4))
    assert line["over base is"] == "undecided"  # one seed
    assert chosen.loc[("tokens a frame", "32", "dense", "frames", "linear")]["accuracy"] == 0.8
    base = sweep[sweep["base"]]
    assert base["over base"].isna().all() and (base["value"][base["axis"] == "frames"] == "8").all()
    figure = sweep_figure(sweep)
    titles = [ax.get_title() for ax in figure.axes if ax.axison]
    assert titles[0] == "pooling in the probe" and set(titles[1:]) == set(sweep["axis"]) and within_edges(figure)
    assert "tokens a frame: 8 0.40, 16 0.40, 32 0.80" in figure.get_label()


def test_the_table_of_pools(results):
    for line, specs in specs_of("control_pooling", QUICK).items():
        right = {RANDOM: 4, GLOBAL: 6, DENSE: 10, TWIN: 8}[line]
        for spec in specs.values():
            write_row(
                results, spec, {f"{p}/{q}{s}": accuracy(right) for p in POOLS for q in PROBES for s in ("", "/scored")}
            )
    frame = table("control_pooling", QUICK)
    stated = frame[frame["paper"].notna()]
    assert set(zip(stated["pool"], stated["probe"])) == {("mean", "linear")}
    assert dict(zip(stated["method"], stated["paper"])) == {"random": 0.42, "global": 0.64, "dense": 0.81}
    found = comparisons("control_pooling", QUICK)
    assert len(found) == 2 * len(POOLS) * len(PROBES) and found["reading"].iloc[0] == "mean/linear/scored"
    assert ARTIFACTS["control_pooling"].primary == "mean/linear/scored" and isinstance(found, pd.DataFrame)


# ------------------------------------------------------------------------------------------------ 6. a person


def test_a_point_takes_the_nearest_token_that_carries_a_target(finished):
    """Against a search by hand."""
    for targets in (finished, *(ControlledTargets(finished, name, 1) for name in ("shuffled points", "broadcast"))):
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
    assert len(np.unique(upper["broadcast"], axis=0)) == 1 < len(np.unique(upper["dense"], axis=0))
    assert np.array_equal(upper["dense"], upper["another"])  # the same store under a PCA fitted alike
