"""One encoder, many tasks: a spec says what is measured where, its row holds what the task promises.

Claims proved:
1. Specs of tasks: every one has its own key; those that pretrain alike share the encoder; what came after the first
rows is
   not in a key while it has the value it had then; a random encoder belongs to the task's dataset; a target that is the
   dataset itself is none; a dataset's own clip settings reach the task.
2. The manifest: a role is played by the first dataset that is there; segmentation is scored on individuals that were
not
   learned from; clips of correspondence are long enough for its gaps.
3. Every task run from end to end gives a row with its numbers, the same ones that the library gives step by step.
4. The queue runs all tasks and prints one line each.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import DIM, FRAMES, POINTS, SIZE, TINY

from cross4d_lib.correspondence import coverage, render_cameras
from cross4d_lib.datasets import load_dataset
from cross4d_lib.errors import ConfigError
from cross4d_lib.evaluation import (
    GAPS,
    TAUS,
    coordinates,
    correspondence,
    linear_probe,
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
    RunSpec,
    clip_settings,
    fresh_encoder,
    load_profile,
    load_row,
    load_rows,
    make_spec,
    manifest,
    pretrained_encoder,
    role_dataset,
    run,
    run_queue,
    runs_for,
    targets_of,
    task_clips,
)
from cross4d_lib.experiments.old_spec import LATER, PRETEXTS, SPLITS
from cross4d_lib.experiments.tasks import COVERAGE_CAMERAS, COVERAGE_SIZES, COVERAGE_SPLATS, TASKS

PAPER, QUICK = load_profile("paper"), load_profile("quick")
MAIN, ANIMALS, ACTIONS = "synthetic-actions", "synthetic-animals", "synthetic-animals-actions"
IDENTITIES = ("train-identities", "test-identities")
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


# ------------------------------------------------------------------------------------------------ 1. specs


def test_every_task_has_its_own_key_and_all_share_the_encoder():
    specs = [
        make_spec(QUICK, MAIN, "dense", 0, target=ANIMALS, task=task, task_splits=splits, task_clip=clip)
        for task in TASKS
        for splits in (SPLITS, IDENTITIES)
        for clip in ({}, {"frames": 16})
    ]
    assert len({spec.key for spec in specs} | {make_spec(QUICK, MAIN, "dense", 0).key}) == len(specs) + 1
    assert {spec.pretraining for spec in specs} == {make_spec(QUICK, MAIN, "dense", 0)}
    assert make_spec(QUICK, MAIN, "dense", 1, target=ANIMALS).pretraining.key != specs[0].pretraining.key
    other = make_spec(QUICK, ANIMALS, "dense", 0, split="train-identities", target=ACTIONS, task="probe")
    assert (
        other.pretraining
        == make_spec(QUICK, ANIMALS, "dense", 0, split="train-identities")
        != make_spec(QUICK, ANIMALS, "dense", 0)
    )


def test_what_came_later_is_not_in_a_key_that_has_no_need_of_it():
    """The form of a plain probe is the one of the first rows; every later field enters with its first other value."""
    plain = make_spec(QUICK, MAIN, "dense", 0)
    assert LATER == {
        "split": "train",
        "task": "probe",
        "target": "",
        "task_splits": SPLITS,
        "task_clip": (),
        "control": "",
        "augmented": False,
        "merge": "mean",
    }
    assert not LATER.keys() & plain.canonical().keys() and "target_content" not in plain.canonical()
    other = replace(
        plain,
        split="train-identities",
        task="segmentation",
        target=ANIMALS,
        task_splits=IDENTITIES,
        task_clip=(("frames", 16),),
        control="broadcast",
        augmented=True,
        merge="first",
    )
    form = other.canonical()
    assert form == json.loads(json.dumps(form))
    assert {name: form[name] for name in LATER} == {
        "split": "train-identities",
        "task": "segmentation",
        "target": ANIMALS,
        "task_splits": list(IDENTITIES),
        "task_clip": {"frames": 16},
        "control": "broadcast",
        "augmented": True,
        "merge": "first",
    }
    assert form["target_content"] and plain.canonical().items() <= other.canonical().items()


def test_the_target_s_contents_belong_to_the_key(monkeypatch):
    """Another generator of the target: another run, the same encoder."""
    spec = make_spec(QUICK, MAIN, "dense", 0, target=ANIMALS)
    before, encoder = spec.key, spec.pretraining.key
    monkeypatch.setattr(
        "cross4d_lib.experiments.old_spec.embedded_digest", lambda dataset: "new" if dataset == ANIMALS else ""
    )
    changed = spec.key
    monkeypatch.setattr("cross4d_lib.experiments.old_spec.embedded_digest", lambda dataset: "")
    assert changed != spec.key and changed != before
    monkeypatch.undo()
    assert spec.key == before and spec.pretraining.key == encoder


def test_a_random_encoder_belongs_to_the_target():
    assert make_spec(QUICK, MAIN, "random", 0, target=ANIMALS) == make_spec(QUICK, ANIMALS, "random", 0)
    assert make_spec(QUICK, MAIN, "random", 0, target=ANIMALS, split="train-identities") == make_spec(
        QUICK, ANIMALS, "random", 0
    )  # it has seen neither
    spec = make_spec(
        QUICK, MAIN, "random", 0, target=ANIMALS, task="segmentation", task_splits=IDENTITIES, task_clip={"frames": 16}
    )
    assert (spec.dataset, spec.target, spec.task, spec.task_splits, spec.task_clip, spec.teacher) == (
        ANIMALS,
        "",
        "segmentation",
        IDENTITIES,
        (("frames", 16),),
        "",
    )


def test_a_target_that_is_the_dataset_is_none():
    assert make_spec(QUICK, ANIMALS, "dense", 0, target=ANIMALS) == make_spec(QUICK, ANIMALS, "dense", 0)
    assert (
        make_spec(QUICK, ANIMALS, "dense", 0).measured_on
        == ANIMALS
        == make_spec(QUICK, MAIN, "dense", 0, target=ANIMALS).measured_on
    )


def test_a_dataset_s_own_clip_settings_reach_the_task():
    """Table 8: DT4D has 16 frames, NTU a stride of 2; MSR-Action3D 24 and 1."""
    to = lambda source, target: dict(make_spec(PAPER, source, "dense", 0, target=target).task_clip)
    assert to("msr-action3d", "deforming-things4d") == {"frames": 16} and to("msr-action3d", "ntu-rgbd60") == {
        "stride": 2
    }
    assert to("deforming-things4d", "ntu-rgbd60") == {"frames": 24, "stride": 2} and to(
        "deforming-things4d", "msr-action3d"
    ) == {"frames": 24}
    assert to("msr-action3d", "hoi4d") == to("msr-action3d", "") == {}
    source = make_spec(PAPER, "deforming-things4d", "dense", 0, target="msr-action3d")
    assert (source.frames, source.epochs, make_spec(PAPER, "ntu-rgbd60", "dense", 0).stride) == (16, 60, 2)
    assert make_spec(PAPER, "msr-action3d", "random", 0, target="deforming-things4d").frames == 16
    assert dict(
        make_spec(PAPER, "msr-action3d", "dense", 0, target="deforming-things4d", task_clip={"frames": 20}).task_clip
    ) == {"frames": 20}


def test_the_actions_of_a_dataset_are_clips_of_its_size():
    """The same animations under other labels."""
    assert clip_settings(PAPER, "deforming-things4d-actions") == clip_settings(PAPER, "deforming-things4d")
    assert make_spec(PAPER, "deforming-things4d", "dense", 0, target="deforming-things4d-actions").task_clip == ()


def test_the_order_of_a_task_s_clip_settings_does_not_matter():
    specs = [
        make_spec(QUICK, MAIN, "dense", 0, task_clip=clip)
        for clip in ({"frames": 16, "stride": 1}, {"stride": 1, "frames": 16})
    ]
    assert specs[0] == specs[1] and specs[0].key == specs[1].key


def test_a_spec_names_its_task():
    told = str(make_spec(QUICK, MAIN, "dense", 2, target=ANIMALS, task="correspondence"))
    assert told == f"dense on {MAIN}, {QUICK.teacher}, correspondence on {ANIMALS}, seed 2"
    assert str(make_spec(QUICK, MAIN, "random", 0)) == f"random on {MAIN}, seed 0"
    assert "coverage" in str(make_spec(QUICK, MAIN, "none", 0, task="coverage"))


def test_no_pretext_is_asked_for_no_encoder():
    spec = make_spec(QUICK, MAIN, "none", 0, task="coverage", frames=9, teacher="facebook/dinov2-large")
    assert (spec.encoder, spec.teacher, spec.frames, spec.epochs) == ((), "", 9, 0) and "none" in PRETEXTS
    with pytest.raises(ConfigError, match="pretext 'dens'"):
        make_spec(QUICK, MAIN, "dens", 0)


def test_task_clips_are_the_target_s_in_the_task_s_size(tiny):
    spec = make_spec(
        tiny, MAIN, "dense", 0, target=ANIMALS, task_splits=IDENTITIES, task_clip={"frames": 5, "stride": 2}
    )
    train, test = task_clips(spec)
    assert (train.source.name, train.split, test.split) == (ANIMALS, *IDENTITIES) and len(train) == len(test) == CLIPS
    assert (train.frames, train.stride, train.points, train[0].points.shape) == (5, 2, POINTS, (5, POINTS, 3))
    assert not set(train.subjects) & set(test.subjects)
    assert [clips.split for clips in task_clips(make_spec(tiny, MAIN, "dense", 0, split="test"))] == list(
        SPLITS
    )  # pretrained on another


# ------------------------------------------------------------------------------------------------ 2. the manifest


def test_a_role_is_played_by_the_first_that_is_there(monkeypatch):
    course = load_profile("course")
    there = {"animals", ANIMALS}
    monkeypatch.setattr(manifest, "is_present", lambda dataset: dataset in there)
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
        manifest.is_present("msr-action3d")
        and manifest.is_present(ANIMALS)
        and not manifest.is_present("deforming-things4d")
        and not manifest.is_present("no such")
    )
    monkeypatch.delenv("CROSS4D_DATA")
    assert not manifest.is_present("msr-action3d")


def test_individuals_are_kept_apart_where_a_dataset_can():
    assert (
        manifest.identity_splits(ANIMALS) == IDENTITIES
        and manifest.identity_splits(MAIN) == manifest.identity_splits("hoi4d") == SPLITS
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
    dense = {(spec.dataset, spec.measured_on, spec.seed) for spec in specs if spec.pretext == "dense"}
    assert dense == {(a, b, seed) for a in sources for b in (*sources, ACTIONS) for seed in QUICK.task_seeds}
    assert {(spec.measured_on, spec.seed) for spec in specs if spec.pretext == "random"} == {
        (b, seed) for b in (*sources, ACTIONS) for seed in QUICK.task_seeds
    }
    assert ARTIFACTS["table05"].runs(QUICK) == specs and {spec.task for spec in specs} == {"probe"}
    own = {spec.key for spec in specs if spec.dataset == spec.measured_on == MAIN}
    assert own <= {spec.key for spec in ARTIFACTS["table01"].runs(QUICK)}  # the diagonal is Table 1's


def test_dense_tasks_have_the_lines_of_the_paper():
    segmentation, tuned, found = (ARTIFACTS[name].runs(QUICK) for name in ("table06", "table17", "table16"))
    lines = lambda specs, dataset: {(spec.pretext, spec.dataset) for spec in specs if spec.measured_on == dataset}
    for dataset in ("synthetic-scenes", ANIMALS):
        assert lines(segmentation, dataset) == {
            ("random", dataset),
            ("global", MAIN),
            ("dense", MAIN),
            ("global", dataset),
            ("dense", dataset),
        }
        assert lines(tuned, dataset) == {("random", dataset), ("dense", dataset)}
    assert {spec.task_splits for spec in segmentation + tuned if spec.measured_on == ANIMALS} == {IDENTITIES}
    assert {spec.task_splits for spec in segmentation + tuned if spec.measured_on != ANIMALS} == {SPLITS}
    assert lines(found, ANIMALS) == {
        ("random", ANIMALS),
        ("global", ANIMALS),
        ("dense", ANIMALS),
        ("dense", MAIN),
    } and {spec.measured_on for spec in found} == {ANIMALS}
    for specs, task in ((segmentation, "segmentation"), (tuned, "fine-tuning"), (found, "correspondence")):
        assert {spec.task for spec in specs} == {task} and {spec.seed for spec in specs} == set(QUICK.task_seeds)


@pytest.mark.parametrize("name", PROFILES)
def test_clips_of_correspondence_are_longer_than_its_gaps(name, monkeypatch):
    monkeypatch.setattr(manifest, "is_present", lambda dataset: True)
    monkeypatch.setattr(manifest, "main_dataset", lambda profile: profile.dataset)
    for spec in ARTIFACTS["table16"].runs(load_profile(name)):
        size = {"frames": spec.frames, "stride": spec.stride, **dict(spec.task_clip)}
        assert size == {"frames": 16, "stride": 1} and size["frames"] > max(GAPS)


def test_coverage_is_asked_at_our_size_and_at_the_paper_s():
    specs = ARTIFACTS["control_coverage"].runs(QUICK)
    assert {(spec.dataset, spec.frames, spec.points) for spec in specs} == {
        (dataset, *size)
        for dataset, own in ((MAIN, 24), (ANIMALS, 16), ("synthetic-interactions", 24), ("synthetic-scenes", 24))
        for size in ((QUICK.frames, QUICK.points), (own, 2048))
    }
    assert [spec.cameras for spec in ARTIFACTS["table15"].runs(QUICK) if spec.seed == 0] == [1, 2, 4]


# ------------------------------------------------------------------------------------------------ 3. from end to end


def check(row, spec):
    """What every row has, whatever its task."""
    assert row == load_row(spec) == json.loads(json.dumps(row, allow_nan=False))
    assert (row["key"], row["task"], row["dataset"], row["target"]) == (
        spec.key,
        spec.task,
        spec.dataset,
        spec.measured_on,
    )
    assert row["spec"] == json.loads(json.dumps(spec.canonical())) and 0 <= row["chance"] <= 1
    assert RunSpec.of_row(row) == spec  # a row says its spec


def test_a_probe_on_another_dataset(tiny, cache):
    spec = make_spec(tiny, MAIN, "dense", 0, target=ANIMALS, task_splits=IDENTITIES, task_clip={"frames": 4})
    row = run(spec, progress=False)
    check(row, spec)
    encoder, measures = pretrained_encoder(make_spec(tiny, MAIN, "dense", 0), progress=False)
    train, test = (
        load_dataset(ANIMALS, split, frames=4, points=POINTS, stride="uniform", limit=CLIPS) for split in IDENTITIES
    )
    result = linear_probe(encoder, train, test, seed=0)
    assert row["metrics"]["linear"]["accuracy"] == result.accuracy and row["chance"] == 1 / 12
    assert (
        row["data_hash"] == {"train": train.fingerprint(), "test": test.fingerprint()} and row["found"] == train.found()
    )
    assert row["measures"]["training_seconds"] == measures["training_seconds"]  # the same encoder, trained once
    assert len(list((cache / "encoders").glob("*.safetensors"))) == 1


SEGMENTATION = {"mIoU", "mAcc", "OA", "low", "high", "per_class", "confusion", "counts"}
SELECTED = {"penalty", "left-out mIoU"}  # of a converged head


def check_segmentation(row, test):
    classes = len(test.source.point_classes)
    labels = np.concatenate([point_labels(test, i).numpy().ravel() for i in range(len(test))])
    for name, cell in row["metrics"].items():
        assert cell.keys() == SEGMENTATION | (SELECTED if name == "converged" else set()) and np.array(
            cell["counts"]
        ).shape == (CLIPS, 3, classes)
        assert cell["low"] <= cell["mIoU"] <= cell["high"] and np.sum(cell["confusion"]) == labels.size
    commonest = row["measures"]["commonest"]
    chosen = test.source.point_classes.index(commonest["class"])
    assert row["chance"] == commonest["mIoU"] and commonest["OA"] == pytest.approx((labels == chosen).mean())
    present = len(np.unique(labels))
    assert commonest["mAcc"] == pytest.approx(1 / present) and commonest["mIoU"] == pytest.approx(
        commonest["OA"] / present
    )
    assert row["measures"]["point_classes"] == list(test.source.point_classes)


def test_segmentation(tiny):
    spec = make_spec(tiny, MAIN, "random", 0, task="segmentation")
    row = run(spec, progress=False)
    check(row, spec)
    train, test = task_clips(spec)
    results = segment_all(pretrained_encoder(spec)[0], train, test, 0)
    assert row["metrics"] == json.loads(json.dumps({name: result.metrics() for name, result in results.items()}))
    check_segmentation(row, test)
    seen = np.bincount(np.concatenate([train[i].point_labels.ravel() for i in range(CLIPS)]))
    assert row["measures"]["commonest"]["class"] == train.source.point_classes[seen.argmax()]  # of the training clips


def test_readability(tiny, cache):
    """From the targets, the student as it is in the cache, the same seed untrained, and the place; only tokens with a
    target are asked."""
    spec = make_spec(tiny, MAIN, "dense", 0, task="readability")
    row = run(spec, progress=False)
    check(row, spec)
    assert list(row["metrics"]) == ["targets", "place", "student", "untrained student"]
    train, test = task_clips(spec)
    stores = [targets_of(spec, fresh_encoder(spec), clips, progress=False) for clips in (train, test)]
    asked = sum(int(stores[1].clip(i)["visible"].sum()) for i in range(CLIPS))
    for cell in row["metrics"].values():
        assert (
            cell.keys() == SEGMENTATION | SELECTED
            and np.sum(cell["confusion"]) == asked < CLIPS * FRAMES * TINY["tokens"]
        )
    told = readability({"student": pretrained_encoder(spec)[0]}, train, test, *stores)
    assert {name: row["metrics"][name] for name in told} == json.loads(
        json.dumps({name: result.metrics() for name, result in told.items()})
    )
    assert row["metrics"]["student"] != row["metrics"]["untrained student"]


def test_fine_tuning(tiny, cache):
    """From the pretrained weights, which stay as they are in the cache; the checkpoint's work is done."""
    spec = make_spec(tiny, MAIN, "dense", 0, task="fine-tuning")
    row = run(spec, progress=False)
    check(row, spec)
    assert list(row["metrics"]) == ["fine-tuned"]
    check_segmentation(row, task_clips(spec)[1])
    assert row["measures"]["training_seconds"] > 0 and not list((cache / "checkpoints").iterdir())
    encoder, _ = pretrained_encoder(spec, progress=False)
    result = segment_finetuned(encoder, *task_clips(spec), seed=0)
    assert row["metrics"]["fine-tuned"]["confusion"] == result.confusion.sum(0).tolist()


def test_correspondence(tiny):
    (spec,) = (spec for spec in ARTIFACTS["table16"].runs(tiny) if spec.pretext == "random")
    row = run(spec, progress=False)
    check(row, spec)
    settings = ("cosine", "centred", "centred, nearest token", "raw XYZ", "XYZ of the nearest token")
    assert list(row["metrics"]) == [f"{name}, gap {gap}" for name in settings for gap in GAPS]
    at = TAUS.index(0.02)
    for cell in row["metrics"].values():
        assert (
            len(cell["per_clip"]) == CLIPS
            and cell["curve"] == sorted(cell["curve"])
            and cell["low"] <= cell["accuracy"] <= cell["high"]
        )
        assert (
            cell["accuracy"]
            == pytest.approx(np.mean(cell["per_clip"]), abs=1e-4)
            == pytest.approx(cell["curve"][at], abs=1e-4)
        )
    test = task_clips(spec)[1]
    assert test.frames == 16 and test.split == "test"
    raw = correspondence(coordinates, test, likeness="distance")
    assert row["metrics"]["raw XYZ, gap 8"]["accuracy"] == pytest.approx(float(raw.at(8).mean()))
    assert row["measures"]["taus"] == list(TAUS) and row["measures"]["chance_curve"].keys() == {"8", "15"}
    assert (
        row["chance"] == row["measures"]["chance_curve"]["8"][at] == pytest.approx(raw.chance[8].mean(0)[at], abs=1e-4)
    )


def test_coverage(tiny):
    """Grows with cameras and with the splat; needs no encoder."""
    spec = make_spec(tiny, ANIMALS, "none", 0, task="coverage")
    row = run(spec, progress=False)
    check(row, spec)
    share = {name: cell["coverage"] for name, cell in row["metrics"].items()}
    by_cameras = [share[f"{n} camera{'s' if n > 1 else ''}"] for n in COVERAGE_CAMERAS]
    assert by_cameras == sorted(by_cameras) and 0 < by_cameras[0] < by_cameras[-1] <= 1
    train = load_dataset(ANIMALS, "train", frames=FRAMES, points=POINTS, stride="uniform", limit=CLIPS)
    assert by_cameras[1] == pytest.approx(
        np.mean([coverage(render_cameras(torch.tensor(train[i].points), 126, 2)) for i in range(CLIPS)])
    )
    assert share["splat x 1.0"] == share["126 px"] == by_cameras[0]  # the library's own
    assert share["splat x 0.25"] > share["splat x 3.0"]  # larger discs hide more
    assert {f"{size} px" for size in COVERAGE_SIZES} | {f"splat x {times}" for times in COVERAGE_SPLATS} < share.keys()
    assert row["chance"] == 0 and row["measures"]["clips_covered"] == CLIPS and not row["teacher"]


# ------------------------------------------------------------------------------------------------ 4. the queue


def test_the_queue_prints_one_line_a_run_of_every_task(tiny, monkeypatch, capsys):
    """One run of a task each; the one whose data has no such labels fails by name."""
    plain = lambda task, dataset=MAIN, pretext="random": make_spec(tiny, dataset, pretext, 0, task=task)
    specs = [plain("probe", ANIMALS), plain("segmentation"), plain("coverage", pretext="none"), plain("correspondence")]
    monkeypatch.setitem(ARTIFACTS, "table06", replace(ARTIFACTS["table06"], runs=lambda profile: specs))
    assert run_queue("tiny", ["table06"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "tiny: 4 runs, 0 there, 4 to do" and len(told) == 5
    for spec, line in zip(specs[:3], told[1:]):
        row = load_row(spec)
        found = "  ".join(f"{setting} {next(iter(values.values())):.3f}" for setting, values in row["metrics"].items())
        assert line.startswith(f"done    {spec.key}  {spec}: {found}  (")
    assert told[4].startswith(f"FAILED  {specs[3]}: ") and "without identity" in told[4]
    assert len(load_rows("tiny")) == 3 and [spec.key for spec in runs_for(tiny, ["table06"])] == [
        spec.key for spec in specs
    ]
