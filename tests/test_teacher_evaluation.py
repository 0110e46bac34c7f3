"""Evaluating a teacher measures what it says, on training individuals only, and measures it once.

Claims proved:
1. Those fitted on and those scored on share no individual, and none of them is in a test split.
2. Parts that the features name are predicted, parts that they do not name are at chance; the place alone is measured
   beside them. Directions are counted, and what one number explains is separated from what it does not.
3. The whole evaluation of a teacher is deterministic, is kept part by part, and is not measured again; other amounts
   are. The committed evaluations are readable and of the amounts of today.
4. The table has a line a teacher and says which of them saw the reader's own data; the command writes table and
   picture.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cross4d_lib import cli, load_dataset
from cross4d_lib.errors import ConfigError
from cross4d_lib.report import teacher_evaluation
from cross4d_lib.teacher_training import evaluate
from cross4d_lib.teacher_training.evaluate import Amounts, evaluate_teachers, part_accuracy, point_rows, training_pair
from cross4d_lib.teachers import load_teacher

LITTLE = Amounts(clips=(5, 4), frames=2, points=96, rows=8)
COMMITTED = sorted((Path(__file__).parents[1] / "results" / "teachers").glob("*.json"))


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


def test_parts_are_predicted_where_the_features_name_them():
    rng = np.random.default_rng(0)
    labels = [rng.integers(0, 4, 600), rng.integers(0, 4, 400)]
    sides = [(np.eye(4)[y] + 0.1 * rng.normal(size=(len(y), 4)), rng.integers(0, 9, len(y)), y) for y in labels]
    scores = part_accuracy(*[(x.astype(np.float32), place, y) for x, place, y in sides], 9)
    assert scores["accuracy"] > 0.99 and scores["recall"] > 0.99
    assert abs(scores["accuracy/place"] - 0.25) < 0.1 and abs(scores["recall/place"] - 0.25) < 0.1
    scores = part_accuracy(*[(rng.normal(size=(len(y), 4)).astype(np.float32), y, y) for _, _, y in sides], 9)
    assert abs(scores["accuracy"] - 0.25) < 0.1 and scores["accuracy/place"] > 0.99


def test_directions_are_counted_and_what_a_number_explains():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4000, 6, generator=generator)
    assert evaluate.directions(rows) == pytest.approx(6, rel=0.01)
    assert evaluate.directions(torch.cat([rows[:, :2], torch.zeros(4000, 30)], 1) + 5) == pytest.approx(2, rel=0.01)
    grey = torch.rand(4000, generator=generator)
    assert evaluate.explained(torch.stack([grey, -(grey**3)], 1), grey) == pytest.approx(1)
    assert evaluate.explained(rows, grey) < 0.01
    assert evaluate.explained(torch.stack([(grey - grey.mean()) / grey.std(), rows[:, 0]], 1), grey) == pytest.approx(
        0.5, abs=0.02
    )


def test_rows_are_visible_points_with_their_patches_feature(clips, teacher):
    features, places, labels = point_rows(teacher, clips, 10)
    assert features.shape == (len(labels), teacher.dim) and len(labels) <= 10 * clips.frames * len(clips)
    assert np.isfinite(features).all() and places.min() >= 0 and labels.max() < len(clips.source.point_classes)


@pytest.mark.slow
def test_an_evaluation_is_kept_part_by_part_and_not_measured_again(tmp_path, teacher_folder, monkeypatch):
    calls = []
    counting = lambda name, function: lambda *arguments: calls.append(name) or function(*arguments)
    monkeypatch.setattr(evaluate, "PARTS", {name: counting(name, f) for name, f in evaluate.PARTS.items()})
    names, out, about = [str(teacher_folder)], tmp_path / "teachers", {"device": "a device", "commit": "abc"}
    (first,) = evaluate_teachers(names, out, ["parts"], "cpu", LITTLE)
    assert calls == ["parts"] and set(first["scores"]) == {"parts"}
    (whole,) = evaluate_teachers(names, out, None, "cpu", LITTLE, about)
    assert calls == ["parts", "actions", "spread"] and whole["scores"]["parts"] == first["scores"]["parts"]
    (file,) = out.iterdir()
    assert json.loads(file.read_text()) == whole and whole["label"] == "" and about.items() <= whole.items()
    shipped = evaluate.training_of("cross4d-tiny")
    assert whole["training"] is None and evaluate.training_of("cross4d-tiny/untrained") is None
    assert (shipped["steps"], shipped["renders"], shipped["recipe"]["layers"]) == (1800, 115200, 6)
    assert evaluate_teachers(names, out, None, "cpu", LITTLE) == [whole] and len(calls) == 3
    scores = {name: value for part in whole["scores"].values() for name, value in part.items()}
    assert len(scores) == 8 + 2 + 3
    assert all(value >= 1 if "directions" in name else 0 <= value <= 1 for name, value in scores.items())
    (again,) = evaluate_teachers(names, tmp_path / "other", ["parts"], "cpu", LITTLE)
    assert again["scores"]["parts"] == whole["scores"]["parts"]
    evaluate_teachers(names, out, ["parts"], "cpu", replace(LITTLE, rows=6))
    assert calls[-1] == "parts"
    with pytest.raises(ConfigError, match="beauty"):
        evaluate_teachers(names, out, ["beauty"])


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.stem)
def test_committed_evaluations_are_readable(file):
    found = json.loads(file.read_text())
    amounts = json.loads(json.dumps(asdict(Amounts())))
    assert found["settings"] == {"format": evaluate.FORMAT, **amounts, "depth_data": "msr-action3d"}
    assert set(found["scores"]) == set(evaluate.PARTS) and {"commit", "dirty", "versions", "date"} <= found.keys()
    assert len(teacher_evaluation.evaluation_table([found])) == 1
    if not found["teacher"].startswith("in-domain/"):
        assert load_teacher(found["teacher"], dtype=torch.float32).revision == found["revision"]


def test_the_table_has_a_line_a_teacher_and_says_whose_data_it_saw():
    scores = {"parts": {"synthetic-actions/accuracy": 0.5}}
    table = teacher_evaluation.evaluation_table(
        [{"teacher": "a", "label": "", "scores": scores}, {"teacher": "b", "label": "IN-DOMAIN", "scores": scores}]
    )
    assert list(table.index) == ["a", "b (IN-DOMAIN)"] and table["parts: synthetic-actions/accuracy"].tolist() == [
        0.5,
        0.5,
    ]


def test_the_command_writes_table_and_picture(tmp_path, monkeypatch, teacher_folder, capsys):
    called = []

    def measured(names, out, only, device, about):
        called.append((names, only, device, set(about)))
        return [{"teacher": str(teacher_folder), "label": "", "scores": {"parts": {"x": 0.5}}}]

    monkeypatch.setattr(evaluate, "evaluate_teachers", measured)
    monkeypatch.setattr(teacher_evaluation, "CLIPS", teacher_evaluation.CLIPS[:1])
    arguments = ["--out", str(tmp_path), "--only", "parts", "--device", "cpu"]
    assert cli.main(["evaluate-teacher", str(teacher_folder), *arguments]) == 0
    ((names, only, device, about),) = called
    assert (names, only, device) == ([str(teacher_folder)], ["parts"], "cpu")
    assert about == {"commit", "dirty", "versions", "date", "device"}
    assert len(pd.read_csv(tmp_path / "evaluation.csv")) == 1
    assert (tmp_path / "evaluation.png").stat().st_size > 1000
    assert str(tmp_path / "evaluation.png") in capsys.readouterr().out
