"""Judging a teacher measures what it says, on training individuals only, and measures it once.

Claims proved:
1. Those fitted on and those scored on share no individual, and none of them is in a test split.
2. Parts that the features name are read, parts that they do not know are at chance; the place alone is measured beside
them.
   Directions are counted, and what one number explains is told from what it does not.
3. The whole judgement of a teacher is deterministic, is kept part by part, and is not measured again; other settings
are.
4. The table has a line a teacher and says which of them saw the reader's own data; the command writes table and
picture.
"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from cross4d_lib import cli, load_dataset
from cross4d_lib.errors import ConfigError
from cross4d_lib.experiments import judge
from cross4d_lib.report import judged
from cross4d_lib.teacher_training.evaluate import Judgement, judge_teachers, point_rows, read_parts, training_pair

LITTLE = Judgement(
    clips=(5, 4),
    frames=2,
    points=96,
    rows=8,
    student={"tokens": 4, "dim": 16, "depth": 1, "heads": 2, "widths": (8, 16)},
    depth_clips=12,
    depth_frames=2,
    depth_points=96,
    epochs=1,
    dim=8,
)


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("CROSS4D_DATA", raising=False)


@pytest.mark.parametrize(
    "name, split, tested",
    [("synthetic-actions", "train", "test"), ("synthetic-animals", "train-identities", "test-identities")],
)
def test_no_test_individual_is_looked_at(name, split, tested):
    fit, held = training_pair(name, 3, split, frames=2, points=64, stride="uniform", limit=(20, 10))
    test = set(load_dataset(name, tested).subjects)
    assert len(fit) == 20 and len(held) == 10
    assert not set(fit.subjects) & set(held.subjects) and not (set(fit.subjects) | set(held.subjects)) & test
    assert len(set(fit.labels)) > 6  # spread over the classes, whatever order they lie in


def test_parts_are_read_where_they_are_there():
    rng = np.random.default_rng(0)
    labels = [rng.integers(0, 4, 600), rng.integers(0, 4, 400)]
    sides = [(np.eye(4)[y] + 0.1 * rng.normal(size=(len(y), 4)), rng.integers(0, 9, len(y)), y) for y in labels]
    scores = read_parts(*[(x.astype(np.float32), place, y) for x, place, y in sides], 9)
    assert scores["accuracy"] > 0.99 and scores["recall"] > 0.99
    assert abs(scores["accuracy/place"] - 0.25) < 0.1 and abs(scores["recall/place"] - 0.25) < 0.1
    scores = read_parts(*[(rng.normal(size=(len(y), 4)).astype(np.float32), y, y) for _, _, y in sides], 9)
    assert abs(scores["accuracy"] - 0.25) < 0.1 and scores["accuracy/place"] > 0.99


def test_directions_are_counted_and_what_a_number_explains_is_told():
    dice = torch.Generator().manual_seed(0)
    rows = torch.randn(4000, 6, generator=dice)
    assert judge.directions(rows) == pytest.approx(6, rel=0.01)
    assert judge.directions(torch.cat([rows[:, :2], torch.zeros(4000, 30)], 1) + 5) == pytest.approx(2, rel=0.01)
    grey = torch.rand(4000, generator=dice)
    assert judge.explained(torch.stack([grey, -(grey**3)], 1), grey) == pytest.approx(1)
    assert judge.explained(rows, grey) < 0.01
    assert judge.explained(torch.stack([(grey - grey.mean()) / grey.std(), rows[:, 0]], 1), grey) == pytest.approx(
        0.5, abs=0.02
    )


def test_rows_are_visible_points_with_their_patches_feature(clips, teacher):
    features, places, labels = point_rows(teacher, clips, 10)
    assert features.shape == (len(labels), teacher.dim) and len(labels) <= 10 * clips.frames * len(clips)
    assert np.isfinite(features).all() and places.min() >= 0 and labels.max() < len(clips.source.point_classes)


def test_a_judgement_is_kept_part_by_part_and_not_measured_again(tmp_path, teacher_folder, monkeypatch):
    calls = []
    counting = lambda name, function: lambda *arguments: calls.append(name) or function(*arguments)
    counted = {name: counting(name, function) for name, function in judge.PARTS.items()}
    monkeypatch.setattr(judge, "judge_distillation", counted["distillation"])
    monkeypatch.setattr(judge, "PARTS", counted)
    names, out = [str(teacher_folder)], tmp_path / "judged"
    (first,) = judge_teachers(names, out, ["parts"], "cpu", LITTLE)
    assert calls == ["parts"] and set(first["scores"]) == {"parts"}
    (whole,) = judge_teachers(names, out, None, "cpu", LITTLE)
    assert (
        calls == ["parts", "actions", "distillation", "spread"] and whole["scores"]["parts"] == first["scores"]["parts"]
    )
    (file,) = out.iterdir()
    assert json.loads(file.read_text()) == whole and whole["mark"] == ""
    assert (
        whole["training"] is None
        and whole["device"].startswith("cpu")
        and {"commit", "dirty", "versions", "date"} <= whole.keys()
    )
    shipped = judge.training_of("cross4d-tiny")
    assert (
        shipped["steps"] == 1001
        and shipped["renders"] == 128128
        and shipped["recipe"]["layers"] == 6
        and judge.training_of("cross4d-tiny/untrained") is None
    )
    assert judge_teachers(names, out, None, "cpu", LITTLE) == [whole] and len(calls) == 4
    scores = [
        value
        for part in whole["scores"].values()
        for name, value in part.items()
        if "cosine" not in name and "directions" not in name
    ]
    assert len(scores) == 8 + 2 + 3 + 1 and all(0 <= value <= 1 for value in scores)
    assert all(value >= 1 for name, value in whole["scores"]["spread"].items() if "directions" in name)
    (again,) = judge_teachers(names, tmp_path / "other", ["parts"], "cpu", LITTLE)
    assert again["scores"]["parts"] == whole["scores"]["parts"]
    judge_teachers(names, out, ["parts"], "cpu", replace(LITTLE, rows=6))
    assert calls[-1] == "parts"
    with pytest.raises(ConfigError, match="beauty"):
        judge_teachers(names, out, ["beauty"])


def test_the_table_has_a_line_a_teacher_and_says_whose_data_it_saw():
    scores = {"parts": {"synthetic-actions/accuracy": 0.5}}
    table = judged.judged_table(
        [{"teacher": "a", "mark": "", "scores": scores}, {"teacher": "b", "mark": "IN-DOMAIN", "scores": scores}]
    )
    assert list(table.index) == ["a", "b (IN-DOMAIN)"] and table["parts: synthetic-actions/accuracy"].tolist() == [
        0.5,
        0.5,
    ]


def test_the_command_writes_table_and_picture(tmp_path, monkeypatch, teacher_folder, capsys):
    given = []
    monkeypatch.setattr(
        "cross4d_lib.teacher_training.evaluate.judge_teachers",
        lambda names, out, only, device: (
            given.append((names, only, device))
            or [{"teacher": str(teacher_folder), "mark": "", "scores": {"parts": {"x": 0.5}}}]
        ),
    )
    monkeypatch.setattr(judged, "CLIPS", judged.CLIPS[:1])
    monkeypatch.setattr(judged, "load_teacher", lambda name: judge.load_teacher(name, dtype=torch.float32))
    assert (
        cli.main(["judge-teacher", str(teacher_folder), "--out", str(tmp_path), "--only", "parts", "--device", "cpu"])
        == 0
    )
    assert given == [([str(teacher_folder)], ["parts"], "cpu")]
    assert len(pd.read_csv(tmp_path / "judged.csv")) == 1 and (tmp_path / "judged.png").stat().st_size > 1000
    assert str(tmp_path / "judged.png") in capsys.readouterr().out
