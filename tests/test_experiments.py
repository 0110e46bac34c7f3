"""A run is executed once whoever asks, and leaves one row that says how it came about.

Claims proved:
1. The manifest knows every table and figure; a profile's dataset falls back only where the profile says.
2. A run is executed once; its row has every field that DESIGN asks for, survives JSON, and equals the run done again.
   Half-written or damaged files in the cache are never taken. A row by older code is found, and is run again on
   request.
3. The queue runs what is missing over processes, names what failed and does the rest.
4. The committed rows are whole, of the teachers and data as they are now, and agree with one another.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import DIM, FRAMES, POINTS, SIZE, TINY, set_environment

from cross4d_lib import machine
from cross4d_lib.datasets import load_dataset, load_source
from cross4d_lib.errors import ConfigError, DataError
from cross4d_lib.evaluation import linear_probe
from cross4d_lib.experiments import (
    ARTIFACTS,
    PROFILES,
    Profile,
    build_spec,
    fresh_encoder,
    load_profile,
    load_row,
    load_rows,
    main_dataset,
    pretrained_encoder,
    run,
    run_queue,
    runs_for,
    task_clips,
)
from cross4d_lib.experiments.row import Row, read_row
from cross4d_lib.report.findings import claims_of
from cross4d_lib.report.tables import COORDINATES

run_module, queue = sys.modules["cross4d_lib.experiments.run"], sys.modules["cross4d_lib.experiments.queue"]
ROOT = Path(__file__).resolve().parents[1]
PROBES = {"linear", "standardized", "converged"}


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
    return build_spec(profile, "msr-action3d", pretext, seed, **changes)


# ------------------------------------------------------------------------------------------------ 1. the manifest


def test_every_run_stands_once_in_a_profile():
    profile = load_profile("quick")
    assert sum(spec.pretext_name == "random" for spec in runs_for(profile, ["table01"])) == len(profile.seeds)
    keys = [spec.key for spec in runs_for(profile)]
    assert len(keys) == len(set(keys))  # every run once, however many tables ask for it


def test_the_manifest_knows_every_table_and_figure():
    assert {f"table{k:02}" for k in range(1, 21)} | {f"figure{k:02}" for k in range(1, 9)} <= ARTIFACTS.keys()
    for name, artifact in ARTIFACTS.items():
        assert artifact.kind in name or name.startswith("control_")
        if not artifact.ready:
            assert artifact.runs(load_profile("quick")) == []
    with pytest.raises(ConfigError, match="no profile is called 'huge'"):
        load_profile("huge")


def test_a_claim_compares_lines_that_its_table_has():
    """Lines named like coordinates or like a metric stand in the rows of every other line."""
    profile = load_profile("quick")
    for name, artifact in ARTIFACTS.items():
        lines = {(spec.measured_on, artifact.line(spec)) for spec in artifact.runs(profile)}
        for claim in claims_of(name, profile) if lines and artifact.shape != "readability" else ():
            for line in (claim.first, claim.second):
                found = any(own == line and claim.on in ("", data) for data, own in lines)
                assert found or line.pretext in COORDINATES, (name, claim)


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
    assert Row(**json.loads(row.to_json())) == row and row.spec == spec and row.key == spec.key and row.is_current
    if spec.task.name == "probe":
        check_probes(row)
    assert bool(row.teacher_revision) == bool(spec.targets)
    same = spec.task.learned_from == spec.task.data.split
    assert row.data_hash.keys() == {"train", "test"} and (row.data_hash["train"] == row.data_hash["test"]) == same
    assert {"python", "torch", "numpy", "transformers", "zarr"} <= row.versions.keys()
    assert row.seconds > 0 and row.device and row.date.startswith("20") and row.date.endswith("+00:00")
    assert row.precision in ("bfloat16", "float32") and (row.dirty is None or len(row.commit) == 12)


def check_probes(row):
    assert row.metrics.keys() == PROBES and row.metrics["converged"].C > 0
    for probe in row.metrics.values():
        assert len(probe.correct) == row.clips_evaluated == len(row.subjects)
        assert 0 <= probe.low <= probe.accuracy <= probe.high <= 1


@pytest.mark.parametrize("pretext", ["random", "global", "dense"])
def test_a_run_is_executed_once_and_leaves_a_whole_row(tiny, results, monkeypatch, pretext):
    spec = spec_of(tiny, pretext)
    assert load_row(spec) is None and load_rows("tiny") == []
    row = run(spec, progress=False)
    check_row(row, spec)
    path = results / "tiny" / "runs" / f"{spec.key}.json"
    assert [p.name for p in results.rglob("*") if p.is_file()] == [path.name]
    assert load_row(spec) == read_row(path) == row and load_rows("tiny") == [row]
    assert (row.stand_in, row.clips_trained, row.clips_evaluated, row.chance) == (False, 12, 12, 1 / 20)
    assert row.subjects == task_clips(spec)[1].subjects and set(row.subjects) == {
        "s06",
        "s07",
        "s08",
    } - set(task_clips(spec)[0].subjects)
    monkeypatch.setattr(run_module, "TASKS", {})  # whatever is computed now would fail
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
    assert row.metrics["linear"].accuracy == result.accuracy
    assert row.metrics["linear"].correct == "".join("01"[int(c)] for c in result.per_clip)
    assert row.data_hash == {"train": train.fingerprint(), "test": test.fingerprint()}
    assert measures["store_clips"] == 12 and measures["store_bytes"] > 0 and 0 < measures["coverage"] <= 1
    assert row.precision == measures.pop("precision") and row.teacher_revision == measures.pop("teacher_revision")
    assert row.measures == {**measures, "subjects": {"test": test.subjects}}


def test_seeds_vary_the_encoder_and_the_random_run_is_the_fresh_encoder(tiny):
    weights = [fresh_encoder(spec_of(tiny, "random", seed)).state_dict()["to_token.weight"] for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(pretrained_encoder(spec_of(tiny, "random"))[0].state_dict()["to_token.weight"], weights[0])
    torch.manual_seed(5)
    state = torch.get_rng_state()
    fresh_encoder(spec_of(tiny))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_damaged_cached_encoder_is_trained_again(tiny, cache):
    """Half-written, lost or flipped; and one that is whole is loaded, not trained."""
    first, measures = pretrained_encoder(spec_of(tiny), progress=False)
    assert not list((cache / "checkpoints").iterdir())  # its work is done
    weights, notes = (
        cache / "encoders" / f"{spec_of(tiny).encoder_key}{suffix}" for suffix in (".safetensors", ".json")
    )
    content = weights.read_bytes()
    damages = [
        lambda: weights.write_bytes(content[: len(content) // 2]),
        lambda: weights.write_bytes(content[:-7] + bytes([content[-7] ^ 64]) + content[-6:]),
        weights.unlink,
        lambda: notes.write_text(notes.read_text()[:40]),
        lambda: notes.write_text(notes.read_text().replace("coverage", "covered")),
        lambda: notes.write_text("[]"),
        notes.unlink,
    ]
    for damage in damages:
        damage()
        renewed, again = pretrained_encoder(spec_of(tiny), progress=False)
        assert again["training_seconds"] != measures["training_seconds"]
        loaded, kept = pretrained_encoder(spec_of(tiny), progress=False)
        assert kept == again
        for name, tensor in first.state_dict().items():
            assert torch.equal(renewed.state_dict()[name], tensor) and torch.equal(loaded.state_dict()[name], tensor)


def test_an_interrupted_run_leaves_no_row_and_goes_on(tiny, results, cache, monkeypatch):
    """Ctrl-C after the first of two epochs: the next run trains the second one only, and its row is the undisturbed
    one."""
    undisturbed = run(spec_of(tiny), progress=False)
    for file in [*results.rglob("*.json"), *(cache / "encoders").iterdir()]:
        file.unlink()
    pretrain = run_module.pretrain

    def interrupted(*args, **options):
        def after_epoch(epoch, row):
            raise KeyboardInterrupt

        return pretrain(*args, after_epoch=after_epoch, **options)

    monkeypatch.setattr(run_module, "pretrain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(spec_of(tiny), progress=False)
    assert load_rows("tiny") == [] and [p.name for p in (cache / "checkpoints").iterdir()] == [
        f"{spec_of(tiny).encoder_key}.pt"
    ]
    epochs = []
    monkeypatch.setattr(
        run_module,
        "pretrain",
        lambda *args, **options: pretrain(*args, after_epoch=lambda epoch, row: epochs.append(epoch), **options),
    )
    assert run(spec_of(tiny), progress=False).metrics == undisturbed.metrics and epochs == [2]


def test_a_damaged_row_is_refused_where_it_is_asked_for(tiny, results):
    (results / "tiny" / "runs").mkdir(parents=True)
    (results / "tiny" / "runs" / f"{spec_of(tiny).key}.json").write_text('{"key": "')
    for read in (lambda: load_row(spec_of(tiny)), lambda: load_rows("tiny"), lambda: run(spec_of(tiny))):
        with pytest.raises(DataError, match="damaged row.*run again"):
            read()


def written(results, row, **changes) -> Row:
    """A row like another one but for its code and date, in its file."""
    form = json.loads(row.to_json()) | changes
    form["key"] = form["config_hash"] = row.spec.key_with(form["contents"], form["code"])
    path = results / row.profile / "runs" / f"{form['key']}.json"
    path.write_text(json.dumps(form))
    return read_row(path)


def test_a_row_by_older_code_is_found_and_stated_as_such(tiny, results, capsys, monkeypatch):
    """The newest of the older ones, never one of another spec; running replaces none of them."""
    spec = spec_of(tiny, "random")
    row = run(spec, progress=False)
    changes = [({"evaluation": -1}, "02"), ({"evaluation": 0}, "03"), ({"points": 0}, "01")]
    older = [written(results, row, code=row.code | code, date=f"2026-01-{day}T00:00:00+00:00") for code, day in changes]
    assert load_row(spec) == row and len(load_rows("tiny")) == 4
    (results / "tiny" / "runs" / f"{row.key}.json").unlink()
    found = load_row(spec)
    assert found == older[1] and not found.is_current and load_row(spec_of(tiny, "random", 1)) is None
    monkeypatch.setitem(ARTIFACTS, "table01", replace(ARTIFACTS["table01"], runs=lambda profile: [spec]))
    assert run_queue("tiny", ["table01"]) == 0
    assert "1 runs, 1 there (1 by older code), 0 to do" in capsys.readouterr().out
    assert run_queue("tiny", ["table01"], renew=True) == 0
    assert "1 runs, 0 there, 1 to do" in capsys.readouterr().out
    assert load_row(spec).is_current and load_row(spec).metrics == row.metrics and len(load_rows("tiny")) == 4


def test_a_row_that_changes_on_disk_is_read_again(tiny, results):
    row = run(spec_of(tiny, "random"), progress=False)
    (results / "tiny" / "runs" / f"{row.key}.json").write_text(row.to_json().replace('"seconds": ', '"seconds": 1'))
    assert load_row(row.spec).seconds != row.seconds


def test_a_folder_that_cannot_hold_rows_is_refused_at_the_start(tiny, results, monkeypatch):
    results.write_text("a file where a folder should be")
    monkeypatch.setattr(run_module, "TASKS", {})
    with pytest.raises(ConfigError, match="no row can be written here.*CROSS4D_RESULTS"):
        run(spec_of(tiny, "random"))


def test_a_full_disk_is_named(tiny, results, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_module, "write_text", full)
    with pytest.raises(DataError, match="cannot be written.*No space left.*run again"):
        run(spec_of(tiny, "random"), progress=False)
    assert load_rows("tiny") == []


def test_provenance_names_commit_and_dirt(monkeypatch):
    """What git says of the library's folder, and nothing when there is no git."""
    machine.git_state.cache_clear()
    try:
        git = lambda *words: subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
        if git("rev-parse", "HEAD").returncode == 0:
            commit, dirty = machine.git_state()
            assert git("rev-parse", "HEAD").stdout.startswith(commit) and len(commit) == 12
            assert dirty == bool(git("status", "--porcelain", "--", "cross4d_lib").stdout.strip())
        machine.git_state.cache_clear()
        monkeypatch.setenv("PATH", "")
        assert machine.git_state() == ("", None)
    finally:
        machine.git_state.cache_clear()


# ------------------------------------------------------------------------------------------------ 3. the queue


def test_the_queue_does_what_is_missing_and_names_what_fails(tiny, results, monkeypatch, capsys):
    """One video is cut short after the random runs: those that read it fail by name, and the queue counts them."""
    first = runs_for(tiny, ["table01"])
    done = [run(spec, progress=False) for spec in first if spec.pretext is None]
    stamp = {row.key: row.date for row in done}
    real = run_module.pretrain

    def failing(encoder, targets, granularity, *args, **options):
        if granularity == "global":
            raise ConfigError("a fault of ours", "global", "none")
        if args[1] == 1:
            raise ZeroDivisionError("a bug")
        return real(encoder, targets, granularity, *args, **options)

    monkeypatch.setattr(run_module, "pretrain", failing)
    assert run_queue("tiny", ["table01"]) == 7
    printed = capsys.readouterr().out
    assert printed.startswith("tiny: 12 runs, 2 there, 10 to do\n")
    assert (
        printed.count("FAILED") == 7
        and printed.count("a fault of ours") == 4
        and "ZeroDivisionError: a bug" in printed
        and "in failing" in printed
    )
    assert printed.count("done ") == 3 and f"{spec_of(tiny).key}  dense on msr-action3d" in printed
    monkeypatch.setattr(run_module, "pretrain", real)
    assert run_queue("tiny", ["table01"]) == 0 and "12 runs, 5 there, 7 to do" in capsys.readouterr().out
    assert run_queue("tiny", ["table01"]) == 0 and "12 runs, 12 there, 0 to do" in capsys.readouterr().out
    rows = {row.key: row for row in load_rows("tiny")}
    assert rows.keys() == {spec.key for spec in first} and all(rows[key].date == date for key, date in stamp.items())


@pytest.mark.slow
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
        spec_of(tiny, "global", **{"targets.teacher": str(teacher_folder / "gone")}),
    ]
    monkeypatch.setitem(ARTIFACTS, "table01", replace(ARTIFACTS["table01"], runs=lambda profile: specs))
    assert run_queue("tiny", ["table01"], jobs=2) == 1 and not (ROOT / "results" / "tiny").exists()
    printed = capsys.readouterr().out
    assert printed.count("done ") == 3 and printed.count("FAILED") == 1 and "no such folder" in printed
    rows = {row.key: row for row in load_rows("tiny")}
    assert rows.keys() == {spec.key for spec in specs[:3]}
    for spec in specs[:3]:
        check_row(rows[spec.key], spec)
    assert run(specs[1], again=True, progress=False).metrics == rows[specs[1].key].metrics


def test_runs_that_share_an_encoder_stay_in_one_process(tiny):
    """Two tasks on one dense encoder are one group, another seed and every random run a group of its own; nothing is
    lost or reordered."""
    dense = [spec_of(tiny), spec_of(tiny, seed=1), spec_of(tiny, task="correspondence")]
    random = [spec_of(tiny, "random"), spec_of(tiny, "random", 1)]
    groups = queue.sharing([dense[0], random[0], *dense[1:], random[1]])
    assert groups == [[dense[0], dense[2]], [random[0]], [dense[1]], [random[1]]]


def test_the_queue_refuses_what_it_does_not_know(tiny):
    planned = next(name for name, artifact in ARTIFACTS.items() if not artifact.ready)
    for name in ("table21", planned):
        with pytest.raises(ConfigError, match=f"no artifact '{name}'"):
            run_queue("tiny", [name])


# ------------------------------------------------------------------------------------------------ 4. the committed rows

COMMITTED = sorted((ROOT / "results").glob("*/runs/*.json"))


def test_there_are_committed_rows():
    if not COMMITTED:
        pytest.skip("results/ holds no rows")


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_a_committed_row_is_whole_and_not_stale(path):
    """Its name is its key, and the teacher and the embedded data are those of the library."""
    row = read_row(path)
    assert row.contents == row.spec.contents, "stale: the teacher or the embedded data changed since; run it again"
    assert row.commit, "a row to be trusted names its commit"
    assert all(version <= row.spec.code[room] for room, version in row.code.items())
    if load_source(row.target).stand_in:
        assert row.stand_in
        for split, clips in zip(("train", "test"), task_clips(row.spec)):
            assert row.data_hash[split] == clips.fingerprint()
        if row.task != "coverage":
            assert row.subjects == task_clips(row.spec)[1].subjects


@pytest.mark.slow
def test_a_golden_row_is_obtained_again(results):
    """A committed row by the code as it is now is run again; other machines may round a few clips across a border."""
    spec = build_spec(load_profile("quick"), "synthetic-actions", "dense", 0)
    path = ROOT / "results" / "quick" / "runs" / f"{spec.key}.json"
    if not path.is_file():
        pytest.skip("no committed row by the code as it is now: cross4d run --renew")
    golden, row = read_row(path), run(spec, progress=False)
    assert row.data_hash == golden.data_hash and row.clips_evaluated == golden.clips_evaluated
    if row.precision != golden.precision:
        pytest.skip(f"this machine computes in {row.precision}, the committed row in {golden.precision}")
    assert row.teacher_revision == golden.teacher_revision
    for probe, metric in golden.metrics.items():
        assert row.metrics[probe].accuracy == pytest.approx(metric.accuracy, abs=0.05), probe


WORKER = """
import multiprocessing, os, sys, time
from cross4d_lib.experiments.queue import end_with_parent

def work(out):
    end_with_parent()
    print(os.getpid(), file=open(out, "w"), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=work, args=(sys.argv[1],))
    process.start()
    process.join()
"""


@pytest.mark.slow
def test_workers_end_when_their_queue_is_killed(tmp_path):
    program, out = tmp_path / "program.py", tmp_path / "pid"
    program.write_text(WORKER)
    queue_process = subprocess.Popen([sys.executable, program, out], env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wait_for(lambda: out.is_file() and out.read_text().strip(), 120)
        worker = int(out.read_text())
        assert Path(f"/proc/{worker}").exists()
    finally:
        queue_process.kill()
        queue_process.wait()
    wait_for(lambda: not Path(f"/proc/{worker}").exists(), 30)


def wait_for(condition, seconds):
    """Raises TimeoutError when it does not come true within so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)
