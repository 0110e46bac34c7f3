"""The tables of the dense tasks and of other datasets say what their rows say, beside the paper.

Claims proved, on rows written by hand:
1. Transfer has one line a source, target and probe; the random encoder is a source; the paper's number stands beside
the z-scored
   probe alone, for the datasets that stand for the paper's.
2. Segmentation has a line a method and setting with the mean over seeds, the interval over clips, and once a dataset
the line of
   a segmenter that always says the commonest class.
3. Correspondence shows raw coordinates once, whatever the number of methods; chance and curve are those of the rows.
4. Cameras: coverage is the mean of the rows' own, the paper's beside it.
5. Without rows there is no line, and a column of the paper's is empty where the paper has no number.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from cross4d_lib.evaluation import TAUS, bootstrap_interval
from cross4d_lib.evaluation.segmentation import SegmentationResult, resampled_miou
from cross4d_lib.experiments import ARTIFACTS, load_profile
from cross4d_lib.report import paper, registry, task_tables
from cross4d_lib.report.tables import PROBES

QUICK = replace(load_profile("quick"), task_seeds=(0, 1, 2))  # quick itself has one
MAIN, ANIMALS, SCENES, PEOPLE = "synthetic-actions", "synthetic-animals", "synthetic-scenes", "synthetic-interactions"
ACTIONS = f"{ANIMALS}-actions"
CLIPS = 10


def write_row(results, spec, metrics, measures=None, chance=0.1):
    """A row as run() writes it."""
    row = {
        "key": spec.key,
        "spec": spec.canonical(),
        "profile": spec.profile,
        "dataset": spec.dataset,
        "target": spec.measured_on,
        "task": spec.task,
        "stand_in": True,
        "teacher": spec.teacher,
        "teacher_revision": "r",
        "seed": spec.seed,
        "metrics": metrics,
        "measures": measures or {},
        "chance": chance,
        "clips_trained": 80,
        "clips_evaluated": CLIPS,
        "commit": "0123456789ab",
        "dirty": False,
        "date": f"2026-01-0{spec.seed + 1}T00:00:00+00:00",
        "device": "cpu",
    }
    path = results / spec.profile / "runs" / f"{spec.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row))


def probed(right):
    """Metrics of the three probes: ``right`` of ten for the first, one more for each of the others."""
    digits = lambda n: "1" * n + "0" * (CLIPS - n)
    return {
        probe: {"accuracy": (right + k) / CLIPS, "low": 0.0, "high": 1.0, "correct": digits(right + k)}
        for k, probe in enumerate(PROBES)
    }


def runs(artifact, **wanted):
    """The specs of an artifact of the quick profile with such attributes, by seed."""
    return [
        spec
        for spec in ARTIFACTS[artifact].runs(QUICK)
        if all(getattr(spec, name) == value for name, value in wanted.items())
    ]


def one(frame, **wanted):
    """The only line with such entries."""
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


# ------------------------------------------------------------------------------------------------ 1. transfer


@pytest.fixture
def transfer(results):
    """dense main -> animals: 5, 6, 7 of ten by seed; main -> main: 8; random on animals: 2; dense animals -> actions:
    3."""
    for spec, right in zip(runs("table12", dataset=MAIN, measured_on=ANIMALS, pretext="dense"), (5, 6, 7)):
        write_row(results, spec, probed(right))
    for source, target, pretext, right in (
        (MAIN, MAIN, "dense", 8),
        (ANIMALS, ANIMALS, "random", 2),
        (ANIMALS, ACTIONS, "dense", 3),
    ):
        write_row(results, runs("table12", dataset=source, measured_on=target, pretext=pretext)[0], probed(right))


def test_transfer_has_one_line_a_source_target_and_probe(transfer):
    frame = task_tables.table12(QUICK)
    assert list(frame.columns[:6]) == ["source", "target", "paper", "method", "probe", "accuracy"]
    assert len(frame) == 4 * len(PROBES) and set(zip(frame["source"], frame["target"])) == {
        (MAIN, ANIMALS),
        (MAIN, MAIN),
        ("random", ANIMALS),
        (ANIMALS, ACTIONS),
    }
    line = one(frame, source=MAIN, target=ANIMALS, probe="linear")
    assert (line["accuracy"], line["std"], line["seeds"], line["data"]) == (
        pytest.approx(0.6),
        pytest.approx(0.1),
        "0 1 2",
        ANIMALS,
    )
    clips = np.array([1.0] * 5 + [2 / 3, 1 / 3, 0, 0, 0])
    assert (line["low"], line["high"]) == pytest.approx(bootstrap_interval(clips))
    alone = one(frame, source="random", target=ANIMALS, probe="converged")
    assert (alone["accuracy"], alone["method"], alone["seeds"]) == (0.4, "random", "0") and np.isnan(alone["std"])


def test_the_paper_s_transfer_stands_beside_the_z_scored_probe(transfer):
    """Table 12: MSR -> DT4D .435, MSR -> MSR .826, random on DT4D .265; actions of animals are ours."""
    frame = task_tables.table12(QUICK)
    stated = {
        (line["source"], line["target"]): line["paper"]
        for _, line in frame[frame["probe"] == "standardized"].iterrows()
    }
    assert (stated[MAIN, ANIMALS], stated[MAIN, MAIN], stated["random", ANIMALS]) == (0.435, 0.826, 0.265) and np.isnan(
        stated[ANIMALS, ACTIONS]
    )
    assert frame[frame["probe"] != "standardized"]["paper"].isna().all()
    fifth = task_tables.table05(QUICK)
    assert (
        set(fifth["probe"]) == {"standardized"}
        and len(fifth) == 4
        and one(fifth, source=MAIN, target=MAIN)["accuracy"] == 0.9
    )


def test_other_datasets_rows_of_table_1(results):
    """NTU's stand-in: .40 for dense under the linear probe. Actions of animals: no number of the paper's."""
    write_row(results, runs("control_people", pretext="dense")[0], probed(4))
    write_row(results, runs("control_animals", pretext="global")[1], probed(5))
    write_row(results, runs("control_animal_actions", pretext="dense")[0], probed(6))
    people, animals, actions = (
        task_tables.control_people(QUICK),
        task_tables.control_animals(QUICK),
        task_tables.control_animal_actions(QUICK),
    )
    assert (
        one(people, probe="linear")["paper"] == 0.40
        and one(people, probe="linear")["data"] == PEOPLE
        and np.isnan(one(people, probe="standardized")["paper"])
    )
    assert (one(animals, probe="linear")["paper"], one(animals, probe="linear")["seeds"]) == (0.42, "1")
    assert (
        actions["paper"].isna().all()
        and one(actions, probe="linear")["accuracy"] == 0.6
        and set(actions["data"]) == {ACTIONS}
    )


# ------------------------------------------------------------------------------------------------ 2. segmentation


def segmented(seed, clips=6, classes=3):
    """Metrics of a random confusion of three classes; the last class of no point."""
    confusion = np.random.default_rng(seed).integers(1, 30, (clips, classes, classes))
    confusion[:, -1] = 0
    return SegmentationResult(confusion)


COMMONEST = {
    "point_classes": ["hand", "cup", "box"],
    "commonest": {"class": "cup", "mIoU": 0.21, "mAcc": 0.5, "OA": 0.42},
}


@pytest.fixture
def segmentation(results):
    """Scenes: random with two seeds, dense from the main dataset with one. Animals: dense with one."""
    found = {}
    for k, (spec, setting) in enumerate(
        [
            (runs("table06", measured_on=SCENES, pretext="random")[0], "linear"),
            (runs("table06", measured_on=SCENES, pretext="random")[1], "linear"),
            (runs("table06", measured_on=SCENES, pretext="dense", dataset=MAIN)[0], "linear"),
            (runs("table06", measured_on=ANIMALS, pretext="dense", dataset=ANIMALS)[0], "linear"),
        ]
    ):
        metrics = {setting: segmented(k).metrics(), "standardized": segmented(10 + k).metrics()}
        write_row(results, spec, metrics, COMMONEST, 0.21)
        found[k] = metrics
    return found


def test_segmentation_lines_are_means_of_their_rows(segmentation):
    frame = task_tables.table06(QUICK)
    assert list(frame.columns[:5]) == ["data", "method", "setting", "paper mIoU", "mIoU"]
    line = one(frame, data=SCENES, method="random", setting="linear")
    cells = [segmentation[k]["linear"] for k in (0, 1)]
    for metric in ("mIoU", "mAcc", "OA"):
        assert line[metric] == pytest.approx((cells[0][metric] + cells[1][metric]) / 2)
    assert (
        line["std"] == pytest.approx(abs(cells[0]["mIoU"] - cells[1]["mIoU"]) / np.sqrt(2)) and line["seeds"] == "0 1"
    )
    draws = (
        resampled_miou(cells[0]["counts"]) + resampled_miou(cells[1]["counts"])
    ) / 2  # the same clips are drawn for both seeds
    assert (line["low"], line["high"]) == pytest.approx(np.quantile(draws, [0.025, 0.975])) and line["low"] < line[
        "mIoU"
    ] < line["high"]
    single = one(frame, data=ANIMALS, method="dense", setting="standardized")
    assert single["mIoU"] == segmentation[3]["standardized"]["mIoU"] and np.isnan(single["std"])
    assert (single["low"], single["high"]) == pytest.approx(
        (segmentation[3]["standardized"]["low"], segmentation[3]["standardized"]["high"])
    )


def test_the_commonest_class_has_one_line_a_dataset(segmentation):
    frame = task_tables.table06(QUICK)
    guesses = frame[frame["setting"] == "no features"]
    assert (
        list(guesses["data"]) == [SCENES, ANIMALS]
        and set(guesses["method"]) == {"always cup"}
        and set(guesses["teacher"]) == {"none"}
    )
    assert (guesses[["mIoU", "mAcc", "OA"]].to_numpy() == [[0.21, 0.5, 0.42]] * 2).all() and guesses[
        "paper mIoU"
    ].isna().all()


def test_the_paper_s_segmentation_is_of_hands_and_objects(segmentation):
    """Shares, not per cent; 4.6 for random and 16.2 zero-shot under the head on features as they are."""
    frame = task_tables.table06(QUICK)
    assert one(frame, data=SCENES, method="random", setting="linear")["paper mIoU"] == pytest.approx(0.046)
    assert one(frame, data=SCENES, method="dense, zero-shot", setting="linear")["paper mIoU"] == pytest.approx(0.162)
    assert frame[(frame["data"] == ANIMALS) | (frame["setting"] == "standardized")]["paper mIoU"].isna().all()


def test_iou_by_class(segmentation):
    frame = task_tables.iou_by_class(QUICK, SCENES)
    assert list(frame.index) == COMMONEST["point_classes"] and list(frame.columns) == [
        "test points",
        "random",
        "dense, zero-shot",
    ]
    assert frame["test points"].tolist() == segmented(10).confusion.sum((0, 2)).tolist()
    mean = np.mean([segmented(k).per_class for k in (10, 11)], 0)
    assert frame["random"].iloc[:2].tolist() == pytest.approx(mean[:2].tolist(), abs=1e-4) and np.isnan(
        frame["random"].iloc[2]
    )
    assert task_tables.iou_by_class(QUICK, PEOPLE).empty


def test_fine_tuning_beside_the_paper_s(results):
    for pretext, k in (("random", 0), ("dense", 1)):
        write_row(
            results,
            runs("table17", measured_on=SCENES, pretext=pretext)[0],
            {"fine-tuned": segmented(k).metrics()},
            COMMONEST,
            0.21,
        )
    write_row(
        results,
        runs("table17", measured_on=ANIMALS, pretext="dense")[0],
        {"fine-tuned": segmented(2).metrics()},
        COMMONEST,
        0.21,
    )
    frame = task_tables.table17(QUICK)
    assert (
        one(frame, data=SCENES, method="scratch")["paper mIoU"],
        one(frame, data=SCENES, method="dense")["paper mIoU"],
    ) == (pytest.approx(0.39), pytest.approx(0.409))
    assert (
        np.isnan(one(frame, data=ANIMALS, method="dense")["paper mIoU"])
        and one(frame, data=SCENES, method="scratch")["mIoU"] == segmented(0).miou
    )


def test_where_a_class_is_read_from(results):
    """One line a source; that of the commonest class would have no place among tokens and is not there."""
    metrics = {name: segmented(k).metrics() for k, name in enumerate(("targets", "place", "student"))}
    write_row(results, runs("control_readability", measured_on=SCENES)[0], metrics, COMMONEST, 0.21)
    frame = task_tables.control_readability(QUICK)
    assert list(frame["read from"]) == list(metrics) and list(frame["mIoU"]) == [
        cell["mIoU"] for cell in metrics.values()
    ]
    assert "method" not in frame and set(frame["data"]) == {SCENES}


# ------------------------------------------------------------------------------------------------ 3. correspondence


def matched(accuracy):
    """Metrics of Table 16: the encoder's as told, coordinates always .3 and .2; chance .01 at .02 and gap 8, .02 at gap
    15."""
    cell = lambda value: {
        "accuracy": value,
        "low": 0.0,
        "high": 1.0,
        "curve": [value] * len(TAUS),
        "per_clip": [value + d for d in (-0.02, 0.0, 0.02)],
    }
    values = {
        "centred": accuracy,
        "cosine": accuracy / 2,
        "centred, nearest token": accuracy / 4,
        "raw XYZ": 0.3,
        "XYZ of the nearest token": 0.2,
    }
    curve = lambda at: [at if tau == 0.02 else 0.5 for tau in TAUS]
    return {f"{name}, gap {gap}": cell(value * 8 / gap) for name, value in values.items() for gap in (8, 15)}, {
        "taus": list(TAUS),
        "chance_curve": {"8": curve(0.01), "15": curve(0.02)},
    }


@pytest.fixture
def correspondence(results):
    for pretext, dataset, accuracies in (
        ("random", ANIMALS, (0.04, 0.08)),
        ("dense", ANIMALS, (0.16,)),
        ("dense", MAIN, (0.12,)),
    ):
        for spec, accuracy in zip(runs("table16", pretext=pretext, dataset=dataset), accuracies):
            write_row(results, spec, *matched(accuracy), 0.01)


def test_correspondence_lines_by_hand(correspondence):
    frame = task_tables.table16(QUICK)
    assert list(frame.columns[:5]) == ["method", "compared by", "gap", "paper", "accuracy"]
    line = one(frame, **{"method": "random", "compared by": "centred", "gap": 8})
    assert (line["accuracy"], line["std"], line["chance"], line["seeds"]) == (
        pytest.approx(0.06),
        pytest.approx(0.04 / np.sqrt(2)),
        0.01,
        "0 1",
    )
    assert (line["low"], line["high"]) == pytest.approx(bootstrap_interval(np.array([0.04, 0.06, 0.08])))
    assert line["curve"].split() == ["0.0600"] * len(TAUS)
    late = one(frame, **{"method": "dense", "compared by": "centred, nearest token", "gap": 15})
    assert (late["accuracy"], late["chance"]) == (pytest.approx(0.04 * 8 / 15), 0.02) and np.isnan(late["std"])
    assert set(frame["method"]) == {"random", "dense", "dense, zero-shot", "raw XYZ", "XYZ of the nearest token"}


def test_coordinates_appear_once(correspondence):
    frame = task_tables.table16(QUICK)
    assert len(frame) == 3 * 3 * 2 + 2 * 2 and not frame.duplicated(["method", "compared by", "gap"]).any()
    for name, value in (("raw XYZ", 0.3), ("XYZ of the nearest token", 0.2)):
        line = one(frame, method=name, gap=8)
        assert (line["compared by"], line["accuracy"]) == ("distance", pytest.approx(value)) and np.isnan(line["std"])


def test_the_paper_s_correspondence_stands_beside_the_likeness_that_is_ours(correspondence):
    frame = task_tables.table16(QUICK)
    at = lambda method, compared, gap: one(frame, **{"method": method, "compared by": compared, "gap": gap})["paper"]
    assert (
        at("random", "cosine", 8),
        at("dense", "cosine", 15),
        at("raw XYZ", "distance", 8),
        at("raw XYZ", "distance", 15),
    ) == (0.028, 0.165, 0.152, 0.366)
    ours = frame[
        frame["compared by"].isin(["centred", "centred, nearest token"])
        | frame["method"].isin(["dense, zero-shot", "XYZ of the nearest token"])
    ]
    assert len(ours) and ours["paper"].isna().all()


# ------------------------------------------------------------------------------------------------ 4. cameras


def test_cameras_by_hand(results):
    """One camera with two seeds, coverage .4 and .5; four cameras with one. Two cameras were not run."""
    for spec, right, share in zip(runs("table15", cameras=1), (6, 8), (0.4, 0.5)):
        write_row(results, spec, probed(right), {"coverage": share})
    write_row(results, runs("table15", cameras=4)[0], probed(7), {"coverage": 0.9})
    frame = task_tables.table15(QUICK)
    assert set(frame["cameras"]) == {1, 4} and len(frame) == 2 * len(PROBES)
    line = one(frame, cameras=1, probe="linear")
    assert (line["coverage"], line["paper coverage"], line["accuracy"], line["paper"]) == (
        pytest.approx(0.45),
        0.49,
        pytest.approx(0.7),
        0.828,
    )
    line = one(frame, cameras=4, probe="linear")
    assert (line["coverage"], line["paper coverage"], line["accuracy"], line["paper"]) == (0.9, 0.79, 0.7, 0.823)
    assert frame[frame["probe"] != "linear"]["paper"].isna().all()


def test_coverage_by_dataset(results):
    """At the profile's size and at the paper's: two lines a setting. The paper's .49 and .74 are MSR-Action3D's, .16
    DT4D's."""
    cells = {
        name: {"coverage": value}
        for name, value in (("1 camera", 0.4), ("2 cameras", 0.7), ("splat x 2.0", 0.3), ("126 px", 0.4))
    }
    for dataset in (MAIN, ANIMALS):
        for spec in runs("control_coverage", dataset=dataset):
            write_row(results, spec, cells, {"clips_covered": 60})
    frame = task_tables.control_coverage(QUICK)
    assert len(frame) == 2 * 2 * 4 and set(frame["clips"]) == {60} and frame["clip"].nunique() == 3
    stated = lambda data, setting: set(frame[(frame["data"] == data) & (frame["setting"] == setting)]["paper"])
    assert (
        stated(MAIN, "1 camera") == {0.49}
        and stated(MAIN, "2 cameras") == {0.74}
        and stated(ANIMALS, "1 camera") == {0.16}
    )
    assert (
        frame[frame["setting"].isin(["splat x 2.0", "126 px"])]["paper"].isna().all()
        and frame[(frame["data"] == ANIMALS) & (frame["setting"] == "2 cameras")]["paper"].isna().all()
    )
    assert set(frame[frame["setting"] == "splat x 2.0"]["coverage"]) == {0.3}


# ------------------------------------------------------------------------------------------------ 5. nothing


@pytest.mark.parametrize(
    "name", [name for name, table in registry.TABLES.items() if table.__module__ == task_tables.__name__]
)
def test_no_rows_no_lines(results, name):
    assert len(registry.TABLES[name](QUICK)) == 0


def test_every_stand_in_stands_for_a_dataset_of_the_paper():
    assert set(paper.STANDS_FOR.values()) == set(paper.TABLE_8) and paper.TABLE_12.keys() - {"random"} <= set(
        paper.TABLE_8
    )
