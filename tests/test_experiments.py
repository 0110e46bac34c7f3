"""A run is named by what decides it, executed once whoever asks, and leaves one row that says how it came about.

Claims proved:
1. A spec's key is the hash of its canonical form: fixed for all time, the same in whatever order it is written, another
one
   for every field that decides the result, the same for what does not. All teachers share one random run.
2. A run is executed once; its row has every field that DESIGN asks for, survives JSON, and equals the run done again.
   Half-written or damaged files in the cache are never believed.
3. The queue runs what is missing over processes, names what failed and does the rest.
4. The committed rows are those of the library as it is: no stale key, no other teacher, no other data; and they agree
with one another.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import DIM, FRAMES, POINTS, SIZE, TINY, set_environment

from cross4d_lib.datasets import load_dataset, load_source
from cross4d_lib.errors import ConfigError, DataError
from cross4d_lib.evaluation import linear_probe
from cross4d_lib.experiments import (
    ARTIFACTS,
    PROFILES,
    Profile,
    RunSpec,
    fresh_encoder,
    load_profile,
    load_row,
    load_rows,
    main_dataset,
    make_spec,
    pretrained_encoder,
    run,
    run_queue,
    runs_for,
    task_clips,
)
from cross4d_lib.experiments.old_spec import embedded_digest, shipped_digest

room, queue = sys.modules["cross4d_lib.experiments.run"], sys.modules["cross4d_lib.experiments.queue"]
ROOT = Path(__file__).resolve().parents[1]
FIELDS = (
    "key spec profile dataset teacher teacher_revision seed metrics clips_evaluated commit dirty config_hash data_hash device versions "
    "seconds date stand_in chance clips_trained"
).split()
PROBES = {"linear", "standardized", "converged"}
REAL = ("train", "test")


@pytest.fixture
def tiny(depth_videos, teacher_folder, results, monkeypatch):
    """A profile called "tiny": seconds a run, on the little depth videos, entered beside the three."""
    profile = Profile(
        "tiny",
        "msr-action3d",
        "synthetic-actions",
        str(teacher_folder),
        FRAMES,
        POINTS,
        "uniform",
        None,
        SIZE,
        DIM,
        encoder={name: value for name, value in TINY.items() if name != "widths"},
        epochs=2,
        batch=4,
        seeds=(0, 1),
    )
    monkeypatch.setitem(PROFILES, "tiny", profile)
    return profile


def spec_of(profile, pretext="dense", seed=0, **changes):
    return make_spec(profile, "msr-action3d", pretext, seed, **changes)


PAPER = make_spec(load_profile("paper"), "msr-action3d", "dense", 0)


# ------------------------------------------------------------------------------------------------ 1. keys


def test_a_key_is_fixed_for_all_time():
    """The paper's own dense run. If this fails, every committed row has lost its name: change the key on purpose or not
    at all."""
    assert PAPER.canonical() == {
        "dataset": "msr-action3d",
        "data_content": "",
        "pretext": "dense",
        "seed": 0,
        "frames": 24,
        "points": 2048,
        "stride": 1,
        "clips": None,
        "encoder": {},
        "teacher": "facebook/dinov2-large",
        "teacher_content": "",
        "size": 126,
        "dim": 384,
        "projection": "random",
        "cameras": 1,
        "summary": "",
        "centre": True,
        "variance_weight": 1.0,
        "epochs": 100,
        "batch": 16,
    }
    assert PAPER.key == "b2d8496d1c14"


def test_a_key_does_not_depend_on_the_order_of_writing():
    backwards = dict(reversed(asdict(PAPER).items()))
    assert RunSpec(**backwards).key == PAPER.key
    profile = load_profile("course")
    shuffled = replace(profile, encoder=dict(reversed(profile.encoder.items())))
    assert [s.key for s in runs_for(shuffled, ["table01"])] == [s.key for s in runs_for(profile, ["table01"])]


OTHER = {
    "dataset": "utd-mhad",
    "pretext": "global",
    "seed": 1,
    "frames": 23,
    "points": 2047,
    "stride": 2,
    "clips": 100,
    "encoder": (("dim", 128),),
    "teacher": "facebook/dinov2-base",
    "size": 98,
    "dim": 768,
    "projection": "pca",
    "cameras": 2,
    "summary": "mean",
    "centre": False,
    "variance_weight": 0.0,
    "epochs": 99,
    "batch": 8,
    "split": "train-identities",
    "task": "segmentation",
    "target": "utd-mhad",
    "task_splits": ("train-identities", "test-identities"),
    "task_clip": (("frames", 16),),
    "control": "broadcast",
    "augmented": True,
    "merge": "first",
}


def test_a_key_changes_with_every_field_but_the_profiles_name():
    assert OTHER.keys() | {"profile"} == {field.name for field in fields(RunSpec)}
    keys = {PAPER.key} | {replace(PAPER, **{name: value}).key for name, value in OTHER.items()}
    assert len(keys) == 1 + len(OTHER)
    assert replace(PAPER, profile="course").key == PAPER.key


def test_a_key_changes_with_the_contents_behind_names(teacher_folder, tmp_path, monkeypatch):
    """A teacher's folder: with its weights; the untrained copy of it: with its configuration. An embedded dataset: with
    its generator."""
    spec = replace(PAPER, teacher=str(teacher_folder))
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in teacher_folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert shipped_digest(str(copy)) == shipped_digest(str(teacher_folder)) != ""
    weights, untrained = shipped_digest(str(copy)), shipped_digest(f"{copy}/untrained")
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:-1] + b"\x01")
    assert shipped_digest(str(copy)) != weights and shipped_digest(f"{copy}/untrained") == untrained != weights
    assert (
        spec.canonical()["teacher_content"] == weights
        and shipped_digest("facebook/dinov2-large") == shipped_digest("") == ""
    )
    embedded = replace(PAPER, dataset="synthetic-actions")
    before = embedded.key
    assert (
        embedded.canonical()["data_content"]
        == embedded_digest("synthetic-actions")
        != embedded_digest("msr-action3d")
        == ""
    )
    monkeypatch.setattr("cross4d_lib.datasets.synthetic.actions.GENERATOR_VERSION", "synthetic-actions/next")
    embedded_digest.cache_clear()
    try:
        assert embedded.key != before
    finally:
        monkeypatch.undo()
        embedded_digest.cache_clear()
    assert embedded.key == before


def test_all_teachers_and_pretexts_share_the_random_runs():
    profile = load_profile("quick")
    plain = make_spec(profile, "synthetic-actions", "random", 1)
    assert plain == make_spec(
        profile, "synthetic-actions", "random", 1, teacher="facebook/dinov2-large", summary="mean", centre=False
    )
    assert (
        plain.key
        == make_spec(
            replace(profile, teacher="facebook/dinov2-large", dim=99, epochs=7, batch=3),
            "synthetic-actions",
            "random",
            1,
        ).key
    )
    assert plain.key != make_spec(replace(profile, points=99), "synthetic-actions", "random", 1).key
    assert not plain.teacher and not plain.epochs
    assert sum(spec.pretext == "random" for spec in runs_for(profile, ["table01"])) == len(profile.seeds)
    keys = [spec.key for spec in runs_for(profile)]
    assert len(keys) == len(set(keys))  # every run once, however many tables ask for it
    with pytest.raises(ConfigError, match="pretext 'sparse'"):
        make_spec(profile, "synthetic-actions", "sparse", 0)


def test_the_manifest_knows_every_table_and_figure():
    assert {f"table{k:02}" for k in range(1, 21)} | {f"figure{k:02}" for k in range(1, 9)} <= ARTIFACTS.keys()
    for name, artifact in ARTIFACTS.items():
        assert artifact.kind in name or name.startswith("control_")
        if not artifact.ready:
            assert artifact.runs(load_profile("quick")) == []
    with pytest.raises(ConfigError, match="no profile is called 'huge'"):
        load_profile("huge")


def test_the_dataset_falls_back_only_where_the_profile_says(monkeypatch, tmp_path, depth_videos):
    assert main_dataset(load_profile("course")) == "msr-action3d"
    monkeypatch.setenv("CROSS4D_DATA", str(tmp_path / "nowhere"))
    assert main_dataset(load_profile("course")) == "synthetic-actions"
    with pytest.raises(DataError):
        main_dataset(load_profile("paper"))
    (tmp_path / "nowhere" / "msr-action3d").mkdir(parents=True)  # a folder without a video is none either
    assert main_dataset(load_profile("course")) == "synthetic-actions"


# ------------------------------------------------------------------------------------------------ 2. one run, one row


def check_row(row, spec):
    """Everything a reader needs to trust a number, in a form that survives JSON."""
    assert all(field in row for field in FIELDS)
    assert row == json.loads(json.dumps(row, allow_nan=False))
    assert row["key"] == row["config_hash"] == spec.key and row["spec"] == json.loads(json.dumps(spec.canonical()))
    assert (row["profile"], row["dataset"], row["teacher"], row["seed"]) == (
        spec.profile,
        spec.dataset,
        spec.teacher,
        spec.seed,
    )
    if spec.task == "probe":
        check_probes(row)
    assert bool(row["teacher_revision"]) == (spec.pretext not in ("none", "random"))
    assert row["data_hash"].keys() == set(REAL) and (row["data_hash"]["train"] == row["data_hash"]["test"]) == (
        len(set(spec.task_splits)) == 1
    )
    assert {"python", "torch", "numpy", "transformers", "zarr"} <= row["versions"].keys()
    assert row["seconds"] > 0 and row["device"] and row["date"].startswith("20") and row["date"].endswith("+00:00")
    assert row["dirty"] in (True, False, None) and (row["dirty"] is None or len(row["commit"]) == 12)


def check_probes(row):
    assert row["metrics"].keys() == PROBES
    for probe in row["metrics"].values():
        assert len(probe["correct"]) == row["clips_evaluated"] and set(probe["correct"]) <= {"0", "1"}
        assert probe["accuracy"] == pytest.approx(probe["correct"].count("1") / row["clips_evaluated"])
        assert 0 <= probe["low"] <= probe["accuracy"] <= probe["high"] <= 1
    assert row["metrics"]["converged"]["C"] > 0


@pytest.mark.parametrize("pretext", ["random", "global", "dense"])
def test_a_run_is_executed_once_and_leaves_a_whole_row(tiny, results, monkeypatch, pretext):
    spec = spec_of(tiny, pretext, summary="class") if pretext == "global" else spec_of(tiny, pretext)
    assert load_row(spec) is None and load_rows("tiny") == []
    row = run(spec, progress=False)
    check_row(row, spec)
    path = results / "tiny" / "runs" / f"{spec.key}.json"
    assert [p.name for p in results.rglob("*") if p.is_file()] == [path.name]
    assert load_row(spec) == json.loads(path.read_text()) == row and load_rows("tiny") == [row]
    assert (row["stand_in"], row["clips_trained"], row["clips_evaluated"], row["chance"]) == (False, 12, 12, 1 / 20)
    monkeypatch.setattr(room, "TASKS", {})  # whatever is computed now would fail
    assert run(spec) == row


def test_a_row_is_what_the_library_says_step_by_step(tiny):
    """The same numbers without the run: the spec's encoder, its clips, the probe."""
    row = run(spec_of(tiny), progress=False)
    encoder, measures = pretrained_encoder(spec_of(tiny), progress=False)
    train, test = (
        load_dataset("msr-action3d", split, frames=FRAMES, points=POINTS, stride="uniform")
        for split in ("train", "test")
    )
    result = linear_probe(encoder, train, test, seed=0)
    assert row["metrics"]["linear"]["accuracy"] == result.accuracy
    assert row["metrics"]["linear"]["correct"] == "".join("01"[int(c)] for c in result.per_clip)
    assert row["data_hash"] == {"train": train.fingerprint(), "test": test.fingerprint()}
    assert measures["store_clips"] == 12 and measures["store_bytes"] > 0 and 0 < measures["coverage"] <= 1
    assert row["measures"] == {name: value for name, value in measures.items() if name != "teacher_revision"}


def test_seeds_vary_the_encoder_and_the_random_run_is_the_fresh_encoder(tiny):
    weights = [fresh_encoder(spec_of(tiny, "random", seed)).state_dict()["embed.weight"] for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(pretrained_encoder(spec_of(tiny, "random"))[0].state_dict()["embed.weight"], weights[0])
    torch.manual_seed(5)
    state = torch.get_rng_state()
    fresh_encoder(spec_of(tiny))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_damaged_cached_encoder_is_trained_again(tiny, cache):
    """Half-written, lost or flipped; and one that is whole is loaded, not trained."""
    first, measures = pretrained_encoder(spec_of(tiny), progress=False)
    assert not list((cache / "checkpoints").iterdir())  # its work is done
    weights, notes = (cache / "encoders" / f"{spec_of(tiny).key}{suffix}" for suffix in (".safetensors", ".json"))
    content = weights.read_bytes()
    damages = [
        lambda: weights.write_bytes(content[: len(content) // 2]),
        lambda: weights.write_bytes(content[:-7] + bytes([content[-7] ^ 64]) + content[-6:]),
        weights.unlink,
        lambda: notes.write_text(notes.read_text()[:40]),
        notes.unlink,
    ]
    for damage in damages:
        damage()
        mended, again = pretrained_encoder(spec_of(tiny), progress=False)
        assert again["training_seconds"] != measures["training_seconds"]
        loaded, kept = pretrained_encoder(spec_of(tiny), progress=False)
        assert kept == again
        for name, tensor in first.state_dict().items():
            assert torch.equal(mended.state_dict()[name], tensor) and torch.equal(loaded.state_dict()[name], tensor)


def test_an_interrupted_run_leaves_no_row_and_goes_on(tiny, results, cache, monkeypatch):
    """Ctrl-C after the first of two epochs: the next run trains the second one only, and its row is the undisturbed
    one."""
    undisturbed = run(spec_of(tiny), progress=False)
    for file in [*results.rglob("*.json"), *(cache / "encoders").iterdir()]:
        file.unlink()
    pretrain = room.pretrain

    def interrupted(*args, **options):
        def after_epoch(epoch, row):
            raise KeyboardInterrupt

        return pretrain(*args, after_epoch=after_epoch, **options)

    monkeypatch.setattr(room, "pretrain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(spec_of(tiny), progress=False)
    assert load_rows("tiny") == [] and [p.name for p in (cache / "checkpoints").iterdir()] == [
        f"{spec_of(tiny).key}.pt"
    ]
    epochs = []
    monkeypatch.setattr(
        room,
        "pretrain",
        lambda *args, **options: pretrain(*args, after_epoch=lambda epoch, row: epochs.append(epoch), **options),
    )
    assert run(spec_of(tiny), progress=False)["metrics"] == undisturbed["metrics"] and epochs == [2]


def test_a_damaged_row_is_refused_with_a_mend(tiny, results):
    (results / "tiny" / "runs").mkdir(parents=True)
    (results / "tiny" / "runs" / f"{spec_of(tiny).key}.json").write_text('{"key": "')
    for read in (lambda: load_row(spec_of(tiny)), lambda: load_rows("tiny"), lambda: run(spec_of(tiny))):
        with pytest.raises(DataError, match="damaged row.*run again"):
            read()


def test_provenance_names_commit_and_dirt(monkeypatch):
    """What git says of the library's folder, and nothing when there is no git."""
    room.git_state.cache_clear()
    try:
        git = lambda *words: subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
        if git("rev-parse", "HEAD").returncode == 0:
            commit, dirty = room.git_state()
            assert git("rev-parse", "HEAD").stdout.startswith(commit) and len(commit) == 12
            assert dirty == bool(git("status", "--porcelain", "--", "cross4d_lib").stdout.strip())
        room.git_state.cache_clear()
        monkeypatch.setenv("PATH", "")
        assert room.git_state() == ("", None)
    finally:
        room.git_state.cache_clear()


# ------------------------------------------------------------------------------------------------ 3. the queue


def test_the_queue_does_what_is_missing_and_names_what_fails(tiny, results, monkeypatch, capsys):
    """One video is cut short after the random runs: those that read it fail by name, and the queue counts them."""
    first = runs_for(tiny, ["table01"])
    done = [run(spec, progress=False) for spec in first if spec.pretext == "random"]
    stamp = {row["key"]: row["date"] for row in done}
    real = room.pretrain

    def failing(encoder, targets, granularity, *args, **options):
        if granularity == "global":
            raise ConfigError("a fault of ours", "global", "none")
        if args[1] == 1:
            raise ZeroDivisionError("a bug")
        return real(encoder, targets, granularity, *args, **options)

    monkeypatch.setattr(room, "pretrain", failing)
    assert run_queue("tiny", ["table01"]) == 3
    told = capsys.readouterr().out
    assert told.startswith("tiny: 6 runs, 2 there, 4 to do\n")
    assert (
        told.count("FAILED") == 3
        and told.count("a fault of ours") == 2
        and "ZeroDivisionError: a bug" in told
        and "in failing" in told
    )
    assert told.count("done ") == 1 and f"{spec_of(tiny).key}  dense on msr-action3d" in told
    monkeypatch.setattr(room, "pretrain", real)
    assert run_queue("tiny", ["table01"]) == 0 and "6 runs, 3 there, 3 to do" in capsys.readouterr().out
    assert run_queue("tiny", ["table01"]) == 0 and "6 runs, 6 there, 0 to do" in capsys.readouterr().out
    rows = {row["key"]: row for row in load_rows("tiny")}
    assert rows.keys() == {spec.key for spec in first} and all(rows[key]["date"] == date for key, date in stamp.items())


def test_the_queue_over_processes(tiny, results, teacher_folder, processes, capsys, monkeypatch):
    """Two processes that share one target store; runs whose teacher is not there fail by name and stop nobody. The
    numbers are those of one process. (Forked from a server that has imported the library, which saves the test its
    slowest part.)"""
    monkeypatch.setattr(queue.multiprocessing, "get_context", lambda method: processes)
    monkeypatch.setattr(
        queue,
        "ProcessPoolExecutor",
        partial(queue.ProcessPoolExecutor, initializer=set_environment, initargs=(dict(os.environ),)),
    )
    specs = [
        spec_of(tiny, "random"),
        spec_of(tiny, "dense"),
        spec_of(tiny, "dense", 1),
        spec_of(tiny, "global", teacher=str(teacher_folder / "gone")),
    ]
    monkeypatch.setitem(ARTIFACTS, "table01", replace(ARTIFACTS["table01"], runs=lambda profile: specs))
    assert run_queue("tiny", ["table01"], jobs=2) == 1 and not (ROOT / "results" / "tiny").exists()
    told = capsys.readouterr().out
    assert told.count("done ") == 3 and told.count("FAILED") == 1 and "no such folder" in told
    rows = {row["key"]: row for row in load_rows("tiny")}
    assert rows.keys() == {spec.key for spec in specs[:3]}
    for spec in specs[:3]:
        check_row(rows[spec.key], spec)
    assert run(specs[1], again=True, progress=False)["metrics"] == rows[specs[1].key]["metrics"]


def test_runs_that_share_an_encoder_stay_in_one_process(tiny):
    """Two tasks on one dense encoder are one group, another seed and every random run a group of its own; nothing is
    lost or reordered."""
    dense = [spec_of(tiny), spec_of(tiny, seed=1), replace(spec_of(tiny), task="correspondence")]
    random = [spec_of(tiny, "random"), spec_of(tiny, "random", 1)]
    groups = queue.sharing([dense[0], random[0], *dense[1:], random[1]])
    assert groups == [[dense[0], dense[2]], [random[0]], [dense[1]], [random[1]]]


def test_the_queue_refuses_what_it_does_not_know(tiny):
    for name in ("table21", "table02" if not ARTIFACTS["table02"].ready else "table99"):
        with pytest.raises(ConfigError, match=f"no artifact '{name}'"):
            run_queue("tiny", [name])


# ------------------------------------------------------------------------------------------------ 4. the committed rows

COMMITTED = sorted((ROOT / "results").glob("*/runs/*.json"))


def test_there_are_committed_rows():
    if not COMMITTED:
        pytest.skip("results/ holds no rows")


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_a_committed_row_is_whole_and_not_stale(path):
    """Its name is its key, and the key is that of its spec with the teacher and the embedded data as they are now."""
    row = json.loads(path.read_text())
    spec = RunSpec.of_row(row)
    assert path.stem == row["key"] == spec.key, (
        "stale: the teacher, the embedded data or the key changed since; run it again"
    )
    check_row(row, spec)
    assert row["profile"] == path.parts[-3] and row["commit"], "a row to be trusted names its commit"
    if load_source(spec.measured_on).stand_in:
        assert row["stand_in"]
        for split, clips in zip(REAL, task_clips(spec)):
            assert row["data_hash"][split] == clips.fingerprint()


def test_committed_rows_agree_where_two_tasks_read_one_encoder():
    """``pooling`` reads the mean over tokens too: row by row the clips it gets right are the probe's, so both were
    measured with one library."""
    rows = [json.loads(path.read_text()) for path in COMMITTED]
    by_task = {
        task: {replace(RunSpec.of_row(row), task="probe"): row for row in rows if row.get("task", "probe") == task}
        for task in ("probe", "pooling")
    }
    both = by_task["probe"].keys() & by_task["pooling"].keys()
    assert len(both) >= 12 or not rows
    for spec in both:
        for probe in PROBES:
            assert (
                by_task["pooling"][spec]["metrics"][f"mean/{probe}/scored"]["correct"]
                == by_task["probe"][spec]["metrics"][probe]["correct"]
            ), (spec, probe)


def test_a_stale_row_is_found(monkeypatch):
    """The check above fails where it should: another teacher under the same name."""
    spec = make_spec(load_profile("quick"), "synthetic-actions", "dense", 0)
    row = {"profile": "quick", "key": spec.key, "spec": json.loads(json.dumps(spec.canonical()))}
    assert RunSpec.of_row(row).key == row["key"]
    monkeypatch.setattr("cross4d_lib.experiments.old_spec.shipped_digest", lambda teacher: "another")
    assert RunSpec.of_row(row).key != row["key"]
