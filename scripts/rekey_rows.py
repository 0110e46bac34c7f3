"""Write the rows of the flat spec in the nested schema, under their new keys, and check that no number changes.

    python scripts/rekey_rows.py [RESULTS]

Rows of the nested schema are left as they are, so the script can be run again. The code of all these rows counts as
version 1. Subjects of the evaluated clips are added where the data are on this machine ($CROSS4D_DATA) and are those of
the row.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

from cross4d_lib.datasets import load_dataset
from cross4d_lib.errors import Cross4DError
from cross4d_lib.experiments.row import Row, read_row
from cross4d_lib.experiments.spec import RunSpec
from cross4d_lib.teachers.provenance import label_of


def nested_spec(row: dict) -> RunSpec:
    """The nested spec of a flat one."""
    old = row["spec"]
    clip = {name: old[name] for name in ("frames", "points", "stride", "clips")}
    learned_from, split = old.get("task_splits", ("train", "test"))
    scored = {"dataset": old.get("target", old["dataset"]), "split": split, **clip, **old.get("task_clip", {})}
    spec = {
        "profile": row["profile"],
        "seed": old["seed"],
        "task": {"name": old.get("task", "probe"), "data": scored, "learned_from": learned_from},
    }
    if old["pretext"] != "none":
        spec["encoder"] = {"settings": old["encoder"]}
    if old["pretext"] in ("global", "dense"):
        pretext = {
            "variance_weight": old["variance_weight"],
            "centre": old["centre"],
            "merge": old.get("merge", "mean"),
        }
        if old["pretext"] == "global":
            pretext["summary"] = old["summary"]
        control = old.get("control", "")
        spec |= {
            "data": {"dataset": old["dataset"], "split": old.get("split", "train"), **clip},
            "targets": {name: old[name] for name in ("teacher", "size", "dim", "projection", "cameras")},
            "pretext": {
                "name": "control" if control else old["pretext"],
                "settings": pretext | ({"control": control} if control else {}),
            },
            "training": {
                "epochs": old["epochs"],
                "batch": old["batch"],
                "augment": old.get("augmented", False),
            },
        }
    return RunSpec(**spec)


@cache
def subjects_of(dataset, split, frames, points, stride, clips) -> tuple[str, tuple[str, ...]]:
    """(fingerprint, subjects) of a split, ("", ()) where it is not on this machine."""
    try:
        found = load_dataset(dataset, split, frames=frames, points=points, stride=stride, limit=clips)
        return found.fingerprint(), tuple(found.subjects)
    except Cross4DError:
        return "", ()


def rekeyed(row: dict) -> Row:
    """The row in the nested schema."""
    spec = nested_spec(row)
    contents, code = spec.contents, dict.fromkeys(spec.code, 1)
    assert row["spec"]["data_content"] in ("", contents.get(row["spec"]["dataset"])), "another generator"
    subjects = {}
    for name, split in (("train", spec.task.learned_from), ("test", spec.task.data.split)):
        fingerprint, of_clips = subjects_of(**{**dict(spec.task.data), "split": split})
        if fingerprint == row["data_hash"][name] and None not in of_clips:
            subjects[split] = list(of_clips)
    if spec.task.name != "pooling":
        subjects = {split: of_clips for split, of_clips in subjects.items() if split == spec.task.data.split}
    measures = row["measures"] | ({"subjects": subjects} if subjects and spec.task.name != "coverage" else {})
    key = spec.key_with(contents, code)
    kept = {name: value for name, value in row.items() if name in Row.model_fields}
    return Row(
        **kept
        | {
            "key": key,
            "config_hash": key,
            "spec": spec,
            "contents": contents,
            "code": code,
            "target": spec.measured_on,
            "task": spec.task.name,
            "teacher_label": label_of(spec.teacher),
            "measures": measures,
            "precision": "float32",
        }
    )


def same_numbers(old: dict, new: dict) -> bool:
    """Are metrics and measures those of the old row, and is nothing else lost?"""
    new = json.loads(json.dumps(new))
    new["measures"].pop("subjects", None)
    own = ("key", "spec", "config_hash", "teacher_mark")
    return all(new[name] == value for name, value in old.items() if name not in own)


def main(results: Path) -> None:
    rekeyed_rows = with_subjects = 0
    for path in sorted(results.glob("*/runs/*.json")):
        old = json.loads(path.read_text())
        if "code" in old:
            continue
        row = rekeyed(old)
        assert same_numbers(old, json.loads(row.to_json())), path
        assert (old.get("teacher_mark", row.teacher_label)) == row.teacher_label, path
        target = path.with_name(f"{row.key}.json")
        assert target == path or not target.exists(), f"{path} and {target} have one key"
        target.write_text(row.to_json())
        path.unlink()
        assert read_row(target) == row
        rekeyed_rows, with_subjects = rekeyed_rows + 1, with_subjects + ("subjects" in row.measures)
    print(f"{rekeyed_rows} rows, {with_subjects} with subjects")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "results")
