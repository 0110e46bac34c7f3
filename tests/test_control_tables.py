"""What is said of a control follows from its rows, and changes with them.

Claims proved, on rows written by hand:
1. ``dense ahead`` and its interval are the paired bootstrap's, the p over seeds is the t-test's, and the share of the
gap is 1 for
   dense's equal, 0 for global's, nothing where there is no gap.
2. The verdict words follow the comparisons: ahead under every probe and seed, on average, under some, under none,
behind.
3. The steps of each path add up to the gap from global to dense, under every probe.
4. A paragraph says what was measured, names students whose loss hardly fell, and is empty without rows.
5. The picture is drawn from what there is, within its edges, with alt text that says what it shows.
6. A person is coloured by the targets that its own frame's nearest tokens carry, one colour where they carry the same.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cross4d_lib.errors import DataError
from cross4d_lib.evaluation import paired_bootstrap, paired_seeds
from cross4d_lib.experiments import ARTIFACTS, load_profile
from cross4d_lib.pretexts import CONTROLS, controlled
from cross4d_lib.report import control_tables
from cross4d_lib.report.control_figures import carried_figure, on_points
from cross4d_lib.report.control_plots import lever_figure
from cross4d_lib.report.control_tables import CLAIMS, PATHS, control_targets, finding, losses, split
from cross4d_lib.report.tables import PROBES, VERDICTS, legend_of_verdicts, method_of, verdict

CLIPS = 40
RIGHT = {  # of 40, by seed; under every probe
    "random": (8, 9, 10),
    "global": (10, 12, 11),
    "dense": (30, 31, 32),
    "dense (UNTRAINED teacher)": (20, 21, 22),
    "global (patch mean)": (10, 12, 11),
    "dense (position alone)": (20, 20, 20),
    "dense (geometry alone)": (30, 31, 32),
    "dense (grey alone)": (16, 16, 16),
    "dense (shuffled points)": (15, 16, 17),
    "dense (shuffled frames)": (28, 32, 30),
    "dense (shuffled clips)": (12, 12, 13),
    "dense (broadcast)": (13, 13, 13),
    "dense (broadcast frames)": (14, 14, 15),
    "dense (broadcast frame means)": (15, 14, 15),
}


def right(count):
    return np.arange(CLIPS) < count


@pytest.fixture
def quick(results):
    """A row for every run of the artifact; random has none under the loss. The loss of broadcast's hardly falls."""
    profile = load_profile("quick")
    for spec in ARTIFACTS["control_targets"].runs(profile):
        method = method_of(spec)
        correct = right(RIGHT[method][spec.seed])
        probe = {
            "accuracy": float(correct.mean()),
            "low": 0.0,
            "high": 1.0,
            "correct": "".join("01"[int(c)] for c in correct),
        }
        end = 0.95 if method == "dense (broadcast)" else 0.4
        row = {
            "key": spec.key,
            "spec": spec.canonical(),
            "profile": "quick",
            "dataset": spec.dataset,
            "teacher": spec.teacher,
            "seed": spec.seed,
            "metrics": dict.fromkeys(PROBES, probe),
            "measures": {} if method == "random" else {"curve": {"cosine": [1.0, 0.7, end]}},
            "chance": 0.05,
            "clips_trained": 80,
            "clips_evaluated": CLIPS,
            "commit": "0123456789ab",
            "dirty": False,
            "date": "2026-01-01T00:00:00+00:00",
            "device": "cpu",
        }
        path = results / "quick" / "runs" / f"{spec.key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(row))
    return profile


def remove(results, profile, *methods):
    for spec in ARTIFACTS["control_targets"].runs(profile):
        if method_of(spec) in methods:
            (results / "quick" / "runs" / f"{spec.key}.json").unlink()


def test_every_line_is_compared_with_dense(quick):
    frame = control_targets(quick).set_index(["method", "probe"])
    assert set(frame.index.get_level_values(0)) == set(RIGHT) and len(frame) == 3 * len(RIGHT)
    points = frame.loc[("dense (shuffled points)", "converged")]
    expected = paired_bootstrap(
        np.stack([right(n) for n in RIGHT["dense"]]), np.stack([right(n) for n in RIGHT["dense (shuffled points)"]])
    )
    assert (points["dense ahead"], points["ahead low"], points["ahead high"], points["p clips"]) == tuple(
        expected.values()
    )
    assert (
        points["dense ahead"] == pytest.approx(15 / 40)
        and points["ahead by seed"] == "+0.375 +0.375 +0.375"
        and np.isnan(points["p seeds"])
    )
    frames = frame.loc[
        ("dense (shuffled frames)", "linear")
    ]  # differences 2, -1, 2 of 40: mean 1, deviation sqrt 3, t = 1
    assert frames["p seeds"] == pytest.approx(0.42265, abs=1e-4) == paired_seeds([2, -1, 2])["p"]
    assert (
        frame.loc[("dense (geometry alone)", "linear"), "of the gap"] == pytest.approx(1)
        and frame.loc[("global", "linear"), "of the gap"] == 0
    )
    assert frame.loc[("dense (UNTRAINED teacher)", "linear"), "of the gap"] == pytest.approx(10 / 20)
    assert (
        frame.loc["dense"][["dense ahead", "of the gap", "p seeds"]].isna().all(axis=None)
        and frame["paper"].isna().all()
    )


def test_without_a_gap_there_is_no_share(quick, results, monkeypatch):
    monkeypatch.setitem(RIGHT, "global", RIGHT["dense"])
    quick_again(results, quick, "global")
    assert control_targets(quick)["of the gap"].isna().all()
    assert "no gap to share out" in finding(quick, "dense (broadcast)")


def quick_again(results, profile, method):
    """Write the rows of one method anew from RIGHT."""
    for spec in ARTIFACTS["control_targets"].runs(profile):
        if method_of(spec) == method:
            path = results / "quick" / "runs" / f"{spec.key}.json"
            row = json.loads(path.read_text())
            correct = right(RIGHT[method][spec.seed])
            row["metrics"] = dict.fromkeys(
                PROBES, {"accuracy": float(correct.mean()), "correct": "".join("01"[int(c)] for c in correct)}
            )
            path.write_text(json.dumps(row))


def test_paired_seeds_by_hand():
    """1, 2, 3: mean 2, deviation 1, t = 2 sqrt 3; two degrees of freedom give p = 1 - t / sqrt(t^2 + 2)."""
    t = 2 * 3**0.5
    assert paired_seeds([1, 2, 3]) == {"mean": 2.0, "std": 1.0, "p": pytest.approx(1 - t / (t * t + 2) ** 0.5)}
    alone = paired_seeds([0.3])
    assert alone["mean"] == 0.3 and np.isnan(alone["std"]) and np.isnan(alone["p"])


def test_verdicts():
    def pairs(*sides, seeds=(0.1, 0.2)):
        return [
            {
                "first": "dense",
                "second": "control",
                "ahead": {"+": "dense", "-": "control", "0": ""}[side],
                "by seed": list(seeds),
            }
            for side in sides
        ]

    assert verdict(pairs("+", "+", "+")) == "HOLDS"
    assert verdict(pairs("+", "+", "+", seeds=(0.5, -0.1))) == "HOLDS ON AVERAGE, not for every seed"
    assert verdict(pairs("+", "0", "+")) == verdict(pairs("+", "-", "0")) == "DEPENDS ON THE PROBE"
    assert (
        verdict(pairs("0", "-", "0")) == "REVERSED UNDER SOME PROBES"
        and verdict(pairs("0", "0", "0")) == "NOT SHOWN"
        and verdict([]) == "NOT RUN"
    )
    assert verdict(pairs("-", "-", "-", seeds=(-0.1, -0.2))) == "REVERSED"
    assert (
        verdict(pairs("+", "+", seeds=(0.1,))) == "HOLDS, one seed"
        and verdict(pairs("+", seeds=(0.2, 0.0))) == "HOLDS ON AVERAGE, not for every seed"
    )
    some = [pairs(*sides) for sides in ("+++", "+-0", "0-0", "000", "---", "")] + [
        pairs("+", seeds=(0.5, -0.1)),
        pairs("+", seeds=(0.1,)),
    ]
    assert {verdict(found) for found in some} == set(VERDICTS) == set(legend_of_verdicts().index)


def test_each_path_adds_up_to_the_gap(quick):
    frame = split(quick)
    gap = (31 - 11) / 40
    assert set(frame["path"]) == set(PATHS)
    for (path, _), steps in frame.groupby(["path", "probe"]):
        assert len(steps) == len(PATHS[path]) and steps["difference"].sum() == pytest.approx(gap)
        assert (
            steps["from"].iloc[0] == "global"
            and steps["to"].iloc[-1] == "dense"
            and (steps["from"].iloc[1:].values == steps["to"].iloc[:-1].values).all()
        )


def test_a_finding_says_what_was_measured(quick, results):
    told = {method: finding(quick, method) for method in CLAIMS}
    assert told["dense (shuffled points)"].startswith("The target must be that of the right place: HOLDS. ")
    assert "it reads 0.40 / 0.40 / 0.40, dense 0.78 / 0.78 / 0.78 (chance 0.05)" in told["dense (shuffled points)"]
    assert (
        "it goes 25% (linear)" in told["dense (shuffled points)"]
        and "hardly fell" not in told["dense (shuffled points)"]
    )
    assert (
        "NOT SHOWN" in told["dense (geometry alone)"]
        and "do not agree about the sign under linear, standardized, converged" in told["dense (shuffled frames)"]
    )
    assert "The loss of 3 of its 3 students hardly fell (to 0.95)" in told["dense (broadcast)"]
    assert (
        losses(quick).loc["dense (broadcast)", "stuck"] == 3
        and losses(quick).loc["dense", "stuck"] == 0
        and "random" not in losses(quick).index
    )
    remove(results, quick, "dense (broadcast)")
    assert finding(quick, "dense (broadcast)") == "" and {"dense (broadcast)"}.isdisjoint(split(quick)["from"])


def test_no_rows_no_lines(results):
    profile = load_profile("quick")
    assert control_targets(profile).empty and split(profile).empty and losses(profile).empty
    with pytest.raises(DataError, match="control_targets"):
        lever_figure(control_targets(profile))


@pytest.mark.parametrize("missing", [(), ("dense (broadcast)", "dense (position alone)")])
def test_the_picture(quick, results, missing):
    remove(results, quick, *missing)
    figure = lever_figure(control_targets(quick), note="a note")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    assert (
        box.x0 >= -0.01
        and box.y0 >= -0.01
        and box.x1 <= figure.get_size_inches()[0] + 0.01
        and box.y1 <= figure.get_size_inches()[1] + 0.01
    )
    assert "dense 0.78" in figure.get_label() and "STAND-IN" in figure.get_label()
    left = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert left[0] in ("dense", "dense (geometry alone)") and set(left) == set(RIGHT) - set(missing)
    drawn = figure.axes[1].lines[0].get_ydata()
    assert drawn[-1] == pytest.approx(31 / 40) and np.isnan(drawn[1]) == bool(missing)


def test_the_manifest_asks_for_every_control(quick):
    methods = [method_of(spec) for spec in ARTIFACTS["control_targets"].runs(quick)]
    assert set(methods) == set(RIGHT) == set(CLAIMS) | {"dense", "global", "random"} and len(methods) == 3 * len(RIGHT)
    stations = {method for steps in PATHS.values() for _, method in steps}
    assert stations <= set(methods) and control_tables.NAME in ARTIFACTS


# ---------------------------------------------------------------------------------------------- a person in its targets


def test_a_point_is_taught_by_the_nearest_token_that_carries_a_target(finished):
    """Against a search by hand."""
    for control in ("", "shuffled points", "broadcast"):
        targets = controlled(finished, control, seed=1)
        batch, taught = targets.batch([2]), on_points(targets, 2, frame=1)
        cloud, frame, point = batch.points[0, 1], batch.grouping["frame"][0], batch.grouping["point"][0]
        for n, place in enumerate(cloud):
            tokens = [j for j in range(len(frame)) if frame[j] == 1 and batch.visible[0, j]]
            nearest = min(tokens, key=lambda j: (cloud[point[j]] - place).square().sum().item())
            assert np.array_equal(taught[n], batch.targets[0, nearest].numpy())
    hidden = SimpleNamespace(
        dim=finished.dim, batch=lambda indices: replace(finished.batch(indices), visible=batch.visible & False)
    )
    assert np.isnan(on_points(hidden, 2, frame=1)).all()  # nobody carries one


def test_the_figure_of_carried_targets(finished, clips):
    figure = carried_figure(finished, clips[3], 3, 1, {"another": finished}, note="a note")
    FigureCanvasAgg(figure).draw()
    heads = {text.get_text().replace("\n", " ") for text in figure.texts}
    assert (
        heads >= {"dense", *CONTROLS, "another"}
        and "a note" in heads
        and figure.get_label().startswith("Frame 1 of clip")
    )
    points = [ax.collections[0].get_facecolors()[:, :3] for ax in figure.axes[:-1]]  # two panels a column, the bar last
    assert len(points) == 2 * (2 + len(CONTROLS))
    names = ["dense", *CONTROLS, "another"]
    upper = dict(zip(names, points[::2]))
    assert len(np.unique(upper["broadcast"], axis=0)) == 1 < len(np.unique(upper["dense"], axis=0))
    assert np.array_equal(upper["dense"], upper["another"])  # the same store under a PCA fitted alike
