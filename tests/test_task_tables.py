"""The tables of the dense tasks say what their rows say, beside the paper.

Claims proved, on rows written by hand:
1. Segmentation has a line a method and setting with the mean over seeds, its interval, and once a dataset the line of
   always saying the commonest class; the paper's values are shares, on hands and objects alone.
2. Correspondence shows raw coordinates once, whatever the number of methods; chance and curve are those of the rows.
3. Coverage and accuracy by cameras are the rows', the paper's beside them.
"""

from dataclasses import replace

import numpy as np
import pytest
from result_rows import SUBJECTS, covered, matched, probed, segmented, write_row

from cross4d_lib.evaluation import TAUS
from cross4d_lib.evaluation.segmentation import miou
from cross4d_lib.evaluation.statistics import interval
from cross4d_lib.experiments import ARTIFACTS, Line, load_profile
from cross4d_lib.experiments.artifacts import DENSE, RANDOM
from cross4d_lib.report.tables import PROBES, iou_by_class, table

QUICK = replace(load_profile("quick"), task_seeds=(0, 1, 2))  # quick itself has one
MAIN, ANIMALS, SCENES, PEOPLE = "synthetic-actions", "synthetic-animals", "synthetic-scenes", "synthetic-interactions"
ZERO_SHOT = Line("dense", zero_shot=True)
KNOWN = {
    "point_classes": ["hand", "cup", "box"],
    "commonest": {"class": "cup", "mIoU": 0.21, "mAcc": 0.5, "OA": 0.42},
    "subjects": {"train": SUBJECTS, "test": SUBJECTS, "test-identities": SUBJECTS},
}


def specs(name, data, line):
    """The specs of a line on a dataset, by seed."""
    found = [spec for spec in ARTIFACTS[name].runs(QUICK) if spec.measured_on == data]
    return [spec for spec in found if ARTIFACTS[name].line(spec) == line]


def one(frame, **wanted):
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


# ------------------------------------------------------------------------------------------------ 1. segmentation


@pytest.fixture
def segmentation(results):
    """Scenes: random with two seeds, dense from the main dataset with one. Animals: dense with one."""
    chosen = [*specs("table06", SCENES, RANDOM)[:2], *specs("table06", SCENES, ZERO_SHOT)[:1]]
    chosen += specs("table06", ANIMALS, DENSE)[:1]
    found = [{"linear": segmented(k), "standardized": segmented(10 + k)} for k in range(len(chosen))]
    for spec, metrics in zip(chosen, found):
        write_row(results, spec, metrics, measures=KNOWN, chance=0.21)
    return found


def test_segmentation_lines_are_means_of_their_rows(segmentation):
    frame = table("table06", QUICK)
    assert list(frame.columns[:5]) == ["data", "method", "setting", "paper", "mIoU"]
    line = one(frame, data=SCENES, line=RANDOM, setting="linear")
    cells = [segmentation[k]["linear"] for k in (0, 1)]
    for metric in ("mIoU", "mAcc", "OA"):
        assert line[metric] == pytest.approx(np.mean([getattr(cell, metric) for cell in cells]))
    assert line["std"] == pytest.approx(abs(cells[0].mIoU - cells[1].mIoU) / np.sqrt(2)) and line["seeds"] == "0 1"
    expected = interval(np.array([cell.counts for cell in cells], float), SUBJECTS, miou)
    assert (line["low"], line["high"]) == (expected.low, expected.high)
    assert np.isnan(one(frame, data=ANIMALS, line=DENSE, setting="standardized")["std"])


def test_the_commonest_class_has_one_line_a_dataset(segmentation):
    frame = table("table06", QUICK)
    guesses = frame[frame["setting"] == "no features"]
    assert list(guesses["data"]) == [SCENES, ANIMALS] and set(guesses["method"]) == {"always cup"}
    assert (guesses[["mIoU", "mAcc", "OA"]].to_numpy() == [[0.21, 0.5, 0.42]] * 2).all()
    assert guesses["paper"].isna().all() and set(guesses["teacher"]) == {"none"}


def test_the_paper_s_segmentation_is_of_hands_and_objects(segmentation):
    """4.6 % for random and 16.2 % zero-shot under the head on features as they are."""
    frame = table("table06", QUICK)
    assert one(frame, data=SCENES, line=RANDOM, setting="linear")["paper"] == pytest.approx(0.046)
    assert one(frame, data=SCENES, line=ZERO_SHOT, setting="linear")["paper"] == pytest.approx(0.162)
    assert frame[(frame["data"] == ANIMALS) | (frame["setting"] == "standardized")]["paper"].isna().all()


def test_iou_by_class(segmentation):
    frame = iou_by_class(QUICK, SCENES)
    assert list(frame.index) == KNOWN["point_classes"] and list(frame.columns) == ["test points", RANDOM, ZERO_SHOT]
    cells = [segmentation[k]["standardized"] for k in (0, 1)]
    assert frame["test points"].tolist() == np.sum(cells[0].confusion, 1).tolist()
    assert frame[RANDOM].iloc[0] == pytest.approx(np.mean([cell.per_class[0] for cell in cells]))
    assert np.isnan(frame[RANDOM].iloc[2]) and iou_by_class(QUICK, PEOPLE).empty


def test_fine_tuning_beside_the_paper_s(results):
    for data, line, k in ((SCENES, RANDOM, 0), (SCENES, DENSE, 1), (ANIMALS, DENSE, 2)):
        spec = specs("table17", data, line)[0]
        write_row(results, spec, {"fine-tuned": segmented(k)}, measures=KNOWN, chance=0.21)
    frame = table("table17", QUICK)
    stated = [one(frame, data=data, line=line)["paper"] for data, line in ((SCENES, RANDOM), (SCENES, DENSE))]
    assert stated == [pytest.approx(0.39), pytest.approx(0.409)]
    assert np.isnan(one(frame, data=ANIMALS, line=DENSE)["paper"])


def test_where_a_class_is_found(results):
    metrics = {name: segmented(k) for k, name in enumerate(("targets", "place", "student"))}
    write_row(results, specs("control_readability", SCENES, DENSE)[0], metrics, measures=KNOWN, chance=0.21)
    frame = table("control_readability", QUICK)
    assert list(frame["setting"]) == list(metrics) and set(frame["data"]) == {SCENES}
    assert list(frame["mIoU"]) == [metric.mIoU for metric in metrics.values()]


# ------------------------------------------------------------------------------------------------ 2. correspondence


def matches(value):
    """The encoder's as given, coordinates always .3 and .2."""
    values = {"centred": value, "cosine": value / 2, "centred, nearest token": value / 4}
    values |= {"raw XYZ": 0.3, "XYZ of the nearest token": 0.2}
    return {f"{name}, gap {gap}": matched(v * 8 / gap) for name, v in values.items() for gap in (8, 15)}


@pytest.fixture
def correspondence(results):
    """Chance .01 at .02 and gap 8, .02 at gap 15."""
    curve = lambda chance: [chance if tau == 0.02 else 0.5 for tau in TAUS]
    measures = {"taus": list(TAUS), "chance_curve": {"8": curve(0.01), "15": curve(0.02)}} | KNOWN
    for line, values in ((RANDOM, (0.08, 0.12)), (DENSE, (0.16,)), (ZERO_SHOT, (0.12,))):
        for spec, value in zip(specs("table16", ANIMALS, line), values):
            write_row(results, spec, matches(value), measures=measures, chance=0.01)
    return table("table16", QUICK)


def test_correspondence_lines_by_hand(correspondence):
    line = one(correspondence, **{"line": RANDOM, "compared by": "centred", "gap": 8})
    assert (line["accuracy"], line["std"]) == (pytest.approx(0.10), pytest.approx(0.04 / np.sqrt(2)))
    assert (line["chance"], line["seeds"]) == (0.01, "0 1")
    values = np.array([matched(0.08).per_clip, matched(0.12).per_clip])
    assert (line["low"], line["high"]) == pytest.approx(tuple(vars(interval(values, SUBJECTS)).values())[1:])
    assert line["curve"].split() == ["0.1000"] * len(TAUS)
    late = one(correspondence, **{"line": DENSE, "compared by": "centred, nearest token", "gap": 15})
    assert (late["accuracy"], late["chance"]) == (pytest.approx(0.04 * 8 / 15), 0.02) and np.isnan(late["std"])


def test_coordinates_appear_once(correspondence):
    assert len(correspondence) == 3 * 3 * 2 + 2 * 2
    assert not correspondence.duplicated(["method", "compared by", "gap"]).any()
    for name, value in (("raw XYZ", 0.3), ("XYZ of the nearest token", 0.2)):
        line = one(correspondence, method=name, gap=8)
        assert (line["compared by"], line["accuracy"], line["teacher"]) == ("distance", pytest.approx(value), "none")


def test_the_paper_s_correspondence_stands_beside_the_likeness_that_is_ours(correspondence):
    at = lambda method, by, gap: one(correspondence, **{"method": method, "compared by": by, "gap": gap})["paper"]
    stated = at("random", "cosine", 8), at("dense", "cosine", 15), at("raw XYZ", "distance", 8)
    assert stated == (0.028, 0.165, 0.152)
    ours = correspondence["compared by"].isin(["centred", "centred, nearest token"])
    ours |= correspondence["method"].isin(["dense (zero-shot)", "XYZ of the nearest token"])
    assert ours.any() and correspondence[ours]["paper"].isna().all()


# ------------------------------------------------------------------------------------------------ 3. cameras


def test_cameras_by_hand(results):
    """One camera with two seeds, coverage .4 and .5; four cameras with one. Two cameras were not run."""
    camera = lambda n: specs("table15", MAIN, Line("dense", cameras=n))
    for seed, (spec, right, share) in enumerate(zip(camera(1), (12, 16), (0.4, 0.5))):
        write_row(results, spec, probed(right, seed), measures={"coverage": share})
    write_row(results, camera(4)[0], probed(14), measures={"coverage": 0.9})
    frame = table("table15", QUICK)
    assert len(frame) == 2 * len(PROBES) and frame[frame["probe"] != "linear"]["paper"].isna().all()
    line = one(frame, line=Line("dense", cameras=1), probe="linear")
    assert (line["coverage"], line["accuracy"], line["paper"]) == (pytest.approx(0.45), pytest.approx(0.7), 0.828)
    line = one(frame, line=Line("dense", cameras=4), probe="linear")
    assert (line["coverage"], line["accuracy"], line["paper"]) == (0.9, pytest.approx(0.7), 0.823)


def test_coverage_by_dataset(results):
    """At the profile's size and at the paper's: two lines a setting. The paper's .49 and .74 are MSR-Action3D's, .16
    DT4D's."""
    values = {"1 camera": 0.4, "2 cameras": 0.7, "splat x 2.0": 0.3, "126 px": 0.4, "98 px, splat of 126 px": 0.2}
    metrics = {name: covered(value) for name, value in values.items()}
    for spec in ARTIFACTS["control_coverage"].runs(QUICK):
        if spec.measured_on in (MAIN, ANIMALS):
            write_row(results, spec, metrics, measures={"clips_covered": 60}, chance=0.0)
    frame = table("control_coverage", QUICK)
    assert len(frame) == 2 * 2 * len(values) and set(frame["clips"]) == {60} and frame["clip"].nunique() == 3
    stated = lambda data, setting: set(frame[(frame["data"] == data) & (frame["setting"] == setting)]["paper"])
    assert (stated(MAIN, "1 camera"), stated(MAIN, "2 cameras"), stated(ANIMALS, "1 camera")) == (
        {0.49},
        {0.74},
        {0.16},
    )
    assert frame[~frame["setting"].str.contains("camera")]["paper"].isna().all()
    splat = frame[frame["varied"] == "splat"]
    assert set(splat["at"]) == {2.0} and set(splat["coverage"]) == {0.3}
