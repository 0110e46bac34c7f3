"""One encoder, many tasks: a spec says what is measured where, its row holds what the task promises.

Claims proved:
1. The clips of a task are those that its spec names.
2. The manifest: a role is played by the first dataset that is there; segmentation is scored on individuals that were
   not learned from; clips of correspondence are long enough for its gaps.
3. Every task run from end to end gives a row with its numbers, the same ones that the library gives step by step.
4. The queue runs all tasks and prints one line each.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import DIM, FRAMES, POINTS, SIZE, TINY

from cross4d_lib.correspondence import coverage, render_cameras
from cross4d_lib.datasets import load_dataset
from cross4d_lib.decisions import PROBE_WINDOWS
from cross4d_lib.evaluation import (
    GAPS,
    TAUS,
    coordinates,
    correspondence,
    linear_probe,
    probe_all,
    readability,
    segment_all,
    segment_finetuned,
)
from cross4d_lib.evaluation.segmentation import point_labels
from cross4d_lib.experiments import (
    ARTIFACTS,
    PROFILES,
    ROLES,
    Profile,
    build_spec,
    fresh_encoder,
    load_profile,
    load_row,
    load_rows,
    pretrained_encoder,
    role_dataset,
    run,
    run_lists,
    run_queue,
    runs_for,
    targets_of,
    task_clips,
)
from cross4d_lib.experiments.row import Segmentation
from cross4d_lib.experiments.tasks import COVERAGE_CAMERAS, COVERAGE_SIZES, COVERAGE_SPLATS
from cross4d_lib.report.tables import BY_WINDOWS

PAPER, QUICK = load_profile("paper"), load_profile("quick")
MAIN, ANIMALS, ACTIONS = "synthetic-actions", "synthetic-animals", "synthetic-animals-actions"
SPLITS, IDENTITIES = ("train", "test"), ("train-identities", "test-identities")
CLIPS = 4


@pytest.fixture
def tiny(teacher_folder, results, monkeypatch):
    """A profile called "tiny": four clips of three frames, seconds a run, all embedded; entered beside the three."""
    profile = Profile(
        "tiny",
        MAIN,
        None,
        str(teacher_folder),
        FRAMES,
        POINTS,
        "uniform",
        CLIPS,
        SIZE,
        DIM,
        encoder={name: value for name, value in TINY.items() if name != "widths"},
        epochs=1,
        batch=4,
        seeds=(0,),
        task_seeds=(0,),
        roles={"animals": (ANIMALS,)},
    )
    monkeypatch.setitem(PROFILES, "tiny", profile)
    return profile


# ------------------------------------------------------------------------------------------------ 1. clips


def test_task_clips_are_the_target_s_in_the_task_s_size(tiny):
    scored = {"dataset": ANIMALS, "split": IDENTITIES[1], "frames": 5, "stride": 2}
    spec = build_spec(tiny, MAIN, "dense", 0, task={"learned_from": IDENTITIES[0], "data": scored})
    train, test = task_clips(spec)
    assert (train.source.name, train.split, test.split) == (ANIMALS, *IDENTITIES) and len(train) == len(test) == CLIPS
    assert (train.frames, train.stride, train.points, train[0].points.shape) == (5, 2, POINTS, (5, POINTS, 3))
    assert not set(train.subjects) & set(test.subjects)
    elsewhere = build_spec(tiny, MAIN, "dense", 0, **{"data.split": "test"})  # pretrained on another split
    assert [clips.split for clips in task_clips(elsewhere)] == list(SPLITS)


# ------------------------------------------------------------------------------------------------ 2. the manifest


def test_a_role_is_played_by_the_first_that_is_there(monkeypatch):
    course = load_profile("course")
    there = {"animals", ANIMALS}
    monkeypatch.setattr(run_lists, "is_present", lambda dataset: dataset in there)
    assert role_dataset(course, "animals") == "animals"
    there.add("deforming-things4d")
    assert role_dataset(course, "animals") == "deforming-things4d"
    there.clear()
    assert (
        role_dataset(course, "animals")
        == role_dataset(PAPER, "hands")
        == role_dataset(PAPER, "moon")
        == role_dataset(QUICK, "animals")
        == ""
    )
    assert (
        role_dataset(replace(QUICK, shown=True), "animals") == ANIMALS
        and role_dataset(replace(course, shown=True), "animals") == ""
    )  # rows need no files
    assert set(ROLES) == set(QUICK.roles) == set(course.roles) == set(PAPER.roles)


def test_presence_is_asked_of_the_files(monkeypatch, depth_videos):
    assert (
        run_lists.is_present("msr-action3d")
        and run_lists.is_present(ANIMALS)
        and not run_lists.is_present("deforming-things4d")
        and not run_lists.is_present("no such")
    )
    monkeypatch.delenv("CROSS4D_DATA")
    assert not run_lists.is_present("msr-action3d")


def test_individuals_are_kept_apart_where_a_dataset_can():
    assert (
        run_lists.identity_splits(ANIMALS) == IDENTITIES
        and run_lists.identity_splits(MAIN) == run_lists.identity_splits("hoi4d") == SPLITS
    )


def test_roles_that_nobody_plays_have_no_runs(monkeypatch, depth_videos):
    """The paper's profile with MSR-Action3D alone: transfer is MSR to MSR, and nothing is segmented."""
    for name in ("table06", "table16", "table17", "control_animals", "control_animal_actions", "control_people"):
        assert ARTIFACTS[name].runs(PAPER) == []
    assert {(spec.dataset, spec.measured_on) for spec in ARTIFACTS["table12"].runs(PAPER)} == {
        ("msr-action3d", "msr-action3d")
    }


def test_transfer_is_every_source_on_every_target():
    sources, specs = (MAIN, ANIMALS, "synthetic-interactions"), ARTIFACTS["table12"].runs(QUICK)
    dense = {(spec.dataset, spec.measured_on, spec.seed) for spec in specs if spec.pretext_name == "dense"}
    assert dense == {(a, b, seed) for a in sources for b in (*sources, ACTIONS) for seed in QUICK.task_seeds}
    assert {(spec.measured_on, spec.seed) for spec in specs if spec.pretext_name == "random"} == {
        (b, seed) for b in (*sources, ACTIONS) for seed in QUICK.task_seeds
    }
    assert set(ARTIFACTS["table05"].runs(QUICK)) == set(specs) and {spec.task.name for spec in specs} == {"probe"}
    own = {spec.key for spec in specs if spec.dataset == spec.measured_on == MAIN}
    assert own <= {spec.key for spec in ARTIFACTS["table01"].runs(QUICK)}  # the diagonal is Table 1's


def test_dense_tasks_have_the_lines_of_the_paper():
    segmentation, tuned, found = (ARTIFACTS[name].runs(QUICK) for name in ("table06", "table17", "table16"))
    lines = lambda specs, dataset: {(spec.pretext_name, spec.dataset) for spec in specs if spec.measured_on == dataset}
    splits = lambda specs: {(spec.task.learned_from, spec.task.data.split) for spec in specs}
    for dataset in ("synthetic-scenes", ANIMALS):
        in_domain, from_main = {(name, dataset) for name in ("global", "dense")}, {("global", MAIN), ("dense", MAIN)}
        assert lines(segmentation, dataset) == {("random", dataset)} | in_domain | from_main
        assert lines(tuned, dataset) == {("random", dataset), ("dense", dataset)}
    assert splits(spec for spec in segmentation + tuned if spec.measured_on == ANIMALS) == {IDENTITIES}
    assert splits(spec for spec in segmentation + tuned if spec.measured_on != ANIMALS) == {SPLITS}
    trio = {(name, ANIMALS) for name in ("random", "global", "dense")}
    assert lines(found, ANIMALS) == trio | {("dense", MAIN)} and {spec.measured_on for spec in found} == {ANIMALS}
    for specs, task in ((segmentation, "segmentation"), (tuned, "fine-tuning"), (found, "correspondence")):
        assert {spec.task.name for spec in specs} == {task}
        assert {spec.seed for spec in specs} == set(QUICK.task_seeds)


@pytest.mark.parametrize("name", PROFILES)
def test_clips_of_correspondence_are_longer_than_its_gaps(name, monkeypatch):
    monkeypatch.setattr(run_lists, "is_present", lambda dataset: True)
    monkeypatch.setattr(run_lists, "main_dataset", lambda profile: profile.dataset)
    for spec in ARTIFACTS["table16"].runs(load_profile(name)):
        assert (spec.task.data.frames, spec.task.data.stride) == (16, 1) and spec.task.data.frames > max(GAPS)


def test_coverage_is_asked_at_our_size_and_at_the_paper_s():
    specs = ARTIFACTS["control_coverage"].runs(QUICK)
    assert {(spec.dataset, spec.task.data.frames, spec.task.data.points) for spec in specs} == {
        (dataset, *size)
        for dataset, own in ((MAIN, 24), (ANIMALS, 16), ("synthetic-interactions", 24), ("synthetic-scenes", 24))
        for size in ((QUICK.frames, QUICK.points), (own, 2048))
    }
    assert [spec.targets.cameras for spec in ARTIFACTS["table15"].runs(QUICK) if spec.seed == 0] == [1, 2, 4]


# ------------------------------------------------------------------------------------------------ 3. from end to end


def check(row, spec):
    """What every row has, whatever its task."""
    assert row == load_row(spec) and row.is_current and (row.key, row.spec) == (spec.key, spec)


def scored_on(**data) -> dict:
    """A task on the animals' identities."""
    return {"learned_from": IDENTITIES[0], "data": {"dataset": ANIMALS, "split": IDENTITIES[1], **data}}


def test_a_probe_on_another_dataset(tiny, cache):
    spec = build_spec(tiny, MAIN, "dense", 0, task=scored_on(frames=4))
    row = run(spec, progress=False)
    check(row, spec)
    encoder, measures = pretrained_encoder(build_spec(tiny, MAIN, "dense", 0), progress=False)
    train, test = (
        load_dataset(ANIMALS, split, frames=4, points=POINTS, stride="uniform", limit=CLIPS) for split in IDENTITIES
    )
    result = linear_probe(encoder, train, test, seed=0)
    assert row.metrics["linear"].accuracy == result.accuracy and row.chance == 1 / 12
    assert row.data_hash == {"train": train.fingerprint(), "test": test.fingerprint()} and row.found == train.found()
    assert row.subjects == test.subjects
    assert row.measures["training_seconds"] == measures["training_seconds"]  # the same encoder, trained once
    assert len(list((cache / "encoders").glob("*.safetensors"))) == 1


def check_segmentation(row, test):
    classes = len(test.source.point_classes)
    labels = np.concatenate([point_labels(test, i).numpy().ravel() for i in range(len(test))])
    for name, cell in row.metrics.items():
        assert isinstance(cell, Segmentation) and np.shape(cell.counts) == (CLIPS, 3, classes)
        assert (cell.penalty is not None) == (cell.left_out is not None) == (name == "converged")
        assert cell.low <= cell.mIoU <= cell.high and np.sum(cell.confusion) == labels.size
    commonest = row.measures["commonest"]
    chosen = test.source.point_classes.index(commonest["class"])
    assert row.chance == commonest["mIoU"] and commonest["OA"] == pytest.approx((labels == chosen).mean())
    present = len(np.unique(labels))
    assert commonest["mAcc"] == pytest.approx(1 / present)
    assert commonest["mIoU"] == pytest.approx(commonest["OA"] / present)
    assert row.measures["point_classes"] == list(test.source.point_classes)
    assert row.subjects == test.subjects


@pytest.mark.slow
def test_segmentation(tiny):
    spec = build_spec(tiny, MAIN, "random", 0, task="segmentation")
    row = run(spec, progress=False)
    check(row, spec)
    train, test = task_clips(spec)
    results = segment_all(pretrained_encoder(spec)[0], train, test, 0)
    assert row.metrics == {name: Segmentation(**result.metrics()) for name, result in results.items()}
    check_segmentation(row, test)
    seen = np.bincount(np.concatenate([train[i].point_labels.ravel() for i in range(CLIPS)]))
    assert row.measures["commonest"]["class"] == train.source.point_classes[seen.argmax()]  # of the training clips


@pytest.mark.slow
def test_readability(tiny, cache):
    """From the targets, the student as it is in the cache, the same seed untrained, and the place; only tokens with a
    target are asked."""
    spec = build_spec(tiny, MAIN, "dense", 0, task="readability")
    row = run(spec, progress=False)
    check(row, spec)
    assert list(row.metrics) == ["targets", "place", "student", "untrained student"]
    train, test = task_clips(spec)
    stores = [targets_of(spec, fresh_encoder(spec), clips, progress=False) for clips in (train, test)]
    asked = sum(int(stores[1].batch([i]).visible.sum()) for i in range(CLIPS))
    for cell in row.metrics.values():
        assert cell.penalty and np.sum(cell.confusion) == asked < CLIPS * FRAMES * TINY["tokens"]
    results = readability({"student": pretrained_encoder(spec)[0]}, train, test, *stores)
    for name, result in results.items():
        assert row.metrics[name] == Segmentation(**result.metrics())
    assert row.metrics["student"] != row.metrics["untrained student"]


def test_fine_tuning(tiny, cache):
    """From the pretrained weights, which stay as they are in the cache; the checkpoint's work is done."""
    spec = build_spec(tiny, MAIN, "dense", 0, task="fine-tuning")
    row = run(spec, progress=False)
    check(row, spec)
    assert list(row.metrics) == ["fine-tuned"]
    check_segmentation(row, task_clips(spec)[1])
    assert row.measures["training_seconds"] > 0 and not list((cache / "checkpoints").iterdir())
    encoder, _ = pretrained_encoder(spec, progress=False)
    result = segment_finetuned(encoder, *task_clips(spec), seed=0)
    assert row.metrics["fine-tuned"].confusion == result.confusion.sum(0).tolist()


def test_correspondence(tiny):
    (spec,) = (spec for spec in ARTIFACTS["table16"].runs(tiny) if spec.pretext is None)
    row = run(spec, progress=False)
    check(row, spec)
    settings = ("cosine", "centred", "centred, nearest token", "raw XYZ", "XYZ of the nearest token")
    assert list(row.metrics) == [f"{name}, gap {gap}" for name in settings for gap in GAPS]
    at = TAUS.index(0.02)
    for cell in row.metrics.values():
        assert len(cell.per_clip) == CLIPS and cell.curve == sorted(cell.curve)
        assert cell.low <= cell.accuracy <= cell.high and cell.accuracy == pytest.approx(cell.curve[at], abs=1e-4)
    test = task_clips(spec)[1]
    assert test.frames == 16 and test.split == "test"
    raw = correspondence(coordinates, test, likeness="distance")
    assert row.metrics["raw XYZ, gap 8"].accuracy == pytest.approx(float(raw.at(8).mean()))
    chance = row.measures["chance_curve"]
    assert row.measures["taus"] == list(TAUS) and chance.keys() == {"8", "15"}
    assert row.chance == chance["8"][at] == pytest.approx(raw.chance[8].mean(0)[at], abs=1e-4)


@pytest.mark.slow
def test_calibration(results):
    """One encoder without training: the paper's probe at its own rate is the task ``probe``; more windows of a video
    vote, and a uniform clip has one."""
    size = {"encoder": {"depth": 1, "dim": 32, "heads": 1, "tokens": 8}, "task": "calibration"}
    clip = {"data.frames": 4, "data.points": 64, "data.clips": 60, "data.stride": 2}
    spec = build_spec(load_profile("quick"), MAIN, "random", 0, **size, **clip)
    row = run(spec, progress=False)
    check(row, spec)
    assert row.metrics.keys() == BY_WINDOWS.keys()
    train, test = task_clips(spec)
    encoder, _ = pretrained_encoder(spec)
    for count in (1, PROBE_WINDOWS):
        found = probe_all(encoder, train.windows(count), test.windows(count), 0)
        for name, key in (("linear", "Adam 0.001"), ("standardized", "standardized"), ("converged", "converged")):
            assert row.metrics[f"{key}/{count}"].accuracy == found[name].accuracy
    uniform = run(spec.changed(**{"task.data.stride": "uniform"}), progress=False)
    assert {key.rpartition("/")[2] for key in uniform.metrics} == {"1"}


def test_coverage(tiny):
    """Grows with cameras and with the splat; needs no encoder."""
    spec = build_spec(tiny, ANIMALS, "none", 0, task="coverage")
    row = run(spec, progress=False)
    check(row, spec)
    share = {name: cell.coverage for name, cell in row.metrics.items()}
    by_cameras = [share[f"{n} camera{'s' if n > 1 else ''}"] for n in COVERAGE_CAMERAS]
    assert by_cameras == sorted(by_cameras) and 0 < by_cameras[0] < by_cameras[-1] <= 1
    train = load_dataset(ANIMALS, "train", frames=FRAMES, points=POINTS, stride="uniform", limit=CLIPS)
    assert by_cameras[1] == pytest.approx(
        np.mean([coverage(render_cameras(torch.tensor(train[i].points), 126, 2)) for i in range(CLIPS)])
    )
    assert share["splat x 1.0"] == share["126 px"] == share["1 camera, by pixel"] != by_cameras[0]
    assert share["splat x 0.25"] > share["splat x 3.0"]  # larger discs hide more
    assert {f"{size} px" for size in COVERAGE_SIZES} | {f"splat x {times}" for times in COVERAGE_SPLATS} < share.keys()
    assert row.chance == 0 and row.measures["clips_covered"] == CLIPS and not row.teacher


# ------------------------------------------------------------------------------------------------ 4. the queue


def test_the_queue_prints_one_line_a_run_of_every_task(tiny, monkeypatch, capsys):
    """One run of a task each; the one whose data has no such labels fails by name."""
    plain = lambda task, dataset=MAIN, pretext="random": build_spec(tiny, dataset, pretext, 0, task=task)
    specs = [plain("probe", ANIMALS), plain("segmentation"), plain("coverage", pretext="none"), plain("correspondence")]
    monkeypatch.setitem(ARTIFACTS, "table06", replace(ARTIFACTS["table06"], runs=lambda profile: specs))
    assert run_queue("tiny", ["table06"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "tiny: 4 runs, 0 there, 4 to do" and len(printed) == 5
    for spec, line in zip(specs[:3], printed[1:]):
        row = load_row(spec)
        found = "  ".join(f"{setting} {metric.value:.3f}" for setting, metric in row.metrics.items())
        assert line.startswith(f"done    {spec.key}  {spec}: {found}  (")
    assert printed[4].startswith(f"FAILED  {specs[3]}: ") and "without identity" in printed[4]
    assert len(load_rows("tiny")) == 3 and [spec.key for spec in runs_for(tiny, ["table06"])] == [
        spec.key for spec in specs
    ]
