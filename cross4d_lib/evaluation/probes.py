"""The linear probe of Sec. 4.1 and two others, since the probe moves the accuracy as much as the pretext does.

- ``linear_probe(standardize=False)``: the paper's. A linear head on mean-pooled features, 300 epochs, not standardised.
- ``linear_probe(standardize=True)``: the same on z-scored features (Table 11).
- ``converged_probe``: multinomial logistic regression on z-scored features, L-BFGS until it converges (where features
  outnumber clips, Newton's method in the span of the training clips), its penalty chosen by leaving training subjects
  out. It has no training length, and the test subjects choose nothing.

Where the clips are windows of videos (``ClipDataset.windows``) a head learns from every window, and a test video has
the class that the mean of its windows' probabilities favours; a result is then one of videos.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import nn

from ..datasets import ClipDataset
from ..decisions import PROBE_RATE
from ..encoders import Encoder
from ..errors import ConfigError
from .features import one_thread, pooled_features, zscore
from .statistics import interval

EPOCHS, BATCH = 300, 64
FOLDS = 5
PENALTIES = tuple(10.0**k for k in range(-4, 3))  # C of the logistic regression, from the largest penalty on


@dataclass(frozen=True)
class ProbeResult:
    """Predicted and true classes of the test clips, or videos, (n,), what was ``selected`` on training clips (``{"C":
    ...}`` for the converged probe), and the ``subjects`` of the test clips, where they are known."""

    predictions: np.ndarray
    labels: np.ndarray
    selected: dict = field(default_factory=dict)
    subjects: list[str] | None = None

    @property
    def per_clip(self) -> np.ndarray:
        """Correct or not, (n,) bool."""
        return self.predictions == self.labels

    @property
    def accuracy(self) -> float:
        return float(self.per_clip.mean())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Of the accuracy, 95 %, over subjects and their clips; without other seeds of the encoder."""
        found = interval(self.per_clip[None], self.subjects)
        return found.low, found.high

    @property
    def clips_evaluated(self) -> int:
        return len(self.labels)

    def per_class(self, classes: tuple[str, ...]) -> list[dict]:
        """Rows of class, clips, accuracy, and the class it is most often taken for."""
        rows = []
        for label, name in enumerate(classes):
            mine = self.labels == label
            wrong = self.predictions[mine & ~self.per_clip]
            taken = classes[np.bincount(wrong).argmax()] if len(wrong) else ""
            rows.append(
                {
                    "class": name,
                    "clips": int(mine.sum()),
                    "accuracy": float(self.per_clip[mine].mean()) if mine.any() else float("nan"),
                    "most often taken for": taken,
                }
            )
        return rows


def linear_probe(
    encoder: Encoder, train: ClipDataset, test: ClipDataset, standardize: bool = False, seed: int = 0
) -> ProbeResult:
    """The paper's linear probe (Sec. 4.1; ``standardize=True``: Table 11's other column) on a frozen encoder."""
    x, z = pooled_features(encoder, train), pooled_features(encoder, test)
    return of_subjects(test, probe_features(x, train.labels, z, test.labels, standardize, seed, videos=test.videos))


def converged_probe(encoder: Encoder, train: ClipDataset, test: ClipDataset) -> ProbeResult:
    """Logistic regression run to convergence; C chosen by leaving training subjects out. Deterministic."""
    x, z = pooled_features(encoder, train), pooled_features(encoder, test)
    return of_subjects(test, converged_probe_features(x, train.labels, train.subjects, z, test.labels, test.videos))


def probe_all(encoder: Encoder, train: ClipDataset, test: ClipDataset, seed: int = 0) -> dict[str, ProbeResult]:
    """All three probes on one pass over the clips: {"linear", "standardized", "converged"}."""
    x, z = pooled_features(encoder, train), pooled_features(encoder, test)
    found = probe_all_features(x, train.labels, train.subjects, z, test.labels, seed, test.videos)
    return {name: of_subjects(test, result) for name, result in found.items()}


def of_subjects(test: ClipDataset, result: ProbeResult) -> ProbeResult:
    """The result with the subject of each clip, or video, of the test set."""
    first = np.unique(test.videos, return_index=True)[1]
    return replace(result, subjects=[test.subjects[i] for i in first])


def probe_all_features(
    train: torch.Tensor,
    train_labels: np.ndarray,
    subjects: list[str],
    test: torch.Tensor,
    test_labels: np.ndarray,
    seed: int = 0,
    videos: np.ndarray | None = None,
) -> dict[str, ProbeResult]:
    """All three probes on given features (n, C). subjects : of the training clips. videos : of the test clips."""
    return {
        "linear": probe_features(train, train_labels, test, test_labels, False, seed, videos=videos),
        "standardized": probe_features(train, train_labels, test, test_labels, True, seed, videos=videos),
        "converged": converged_probe_features(train, train_labels, subjects, test, test_labels, videos),
    }


def voted(probabilities: np.ndarray, labels: np.ndarray, videos: np.ndarray | None) -> ProbeResult:
    """The class of every video: probabilities (m, K) and labels (m,) of clips, videos (m,) whose each is; None: each is
    one of its own. Results are in the order of the videos' numbers."""
    labels = np.asarray(labels)
    if videos is None:
        return ProbeResult(probabilities.argmax(1), labels)
    _, first, member = np.unique(videos, return_index=True, return_inverse=True)
    total = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(total, member, probabilities)
    return ProbeResult(total.argmax(1), labels[first])


def leave_subjects_out(
    features: torch.Tensor, labels: np.ndarray, subjects: list[str], seed: int = 0, videos: np.ndarray | None = None
) -> dict[str, ProbeResult]:
    """All three probes, each subject scored by a probe fitted on the others: a look at new people that spends no test
    subject.

    features (n, C), one label and one subject a clip, and the number of its video where clips are windows; results are
    in the order of the videos. Raises ConfigError with
    fewer than three subjects: the converged probe leaves another one out to choose its penalty.
    """
    groups = np.unique(subjects, return_inverse=True)[1]
    if groups.max() < 2:
        raise ConfigError(f"{groups.max() + 1} subjects", "leave_subjects_out", "at least three")
    videos = np.arange(len(labels)) if videos is None else videos
    owners, first = np.unique(videos, return_index=True)
    predictions: dict[str, np.ndarray] = {}
    for left_out in range(groups.max() + 1):
        inside = groups != left_out
        known = [subject for subject, kept in zip(subjects, inside) if kept]
        for name, result in probe_all_features(
            features[inside], labels[inside], known, features[~inside], labels[~inside], seed, videos[~inside]
        ).items():
            found = predictions.setdefault(name, np.full(len(owners), -1))
            found[np.isin(owners, videos[~inside])] = result.predictions
    people = [subjects[i] for i in first]
    return {name: ProbeResult(found, labels[first], subjects=people) for name, found in predictions.items()}


def in_row_space(train: torch.Tensor, test: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both (n, C) and (m, C) in min(n, C) numbers a clip, for a classifier with an L2 penalty: the same answers, faster
    (in float64 where anything is done, for which Newton's method is grateful).

    Weights across the span of the training clips cost a penalty and change no training score, so the best weights lie
    in the span; and lengths are the same in any orthonormal basis of it.
    """
    if train.shape[1] <= len(train):
        return train, test
    basis = torch.linalg.qr(train.double().T).Q  # (C, n)
    return train.double() @ basis, test.double() @ basis


def _check_labels(train: torch.Tensor, train_labels: np.ndarray, test: torch.Tensor, test_labels: np.ndarray) -> None:
    if len(train) != len(train_labels) or len(test) != len(test_labels):
        raise ConfigError(
            f"{len(train)} and {len(test)} features for {len(train_labels)} and {len(test_labels)} labels",
            "probe",
            "one label a feature",
        )


@one_thread()
def probe_features(
    train: torch.Tensor,
    train_labels: np.ndarray,
    test: torch.Tensor,
    test_labels: np.ndarray,
    standardize: bool = False,
    seed: int = 0,
    epochs: int = EPOCHS,
    rate: float = PROBE_RATE,
    videos: np.ndarray | None = None,
) -> ProbeResult:
    """The trained linear head on given features (n, C). The last epoch counts, never the best. videos : as in
    ``voted``."""
    _check_labels(train, train_labels, test, test_labels)
    if standardize:
        train, test = zscore(train, test)
    y = torch.as_tensor(train_labels)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(train.shape[1], int(train_labels.max()) + 1)
    optimiser = torch.optim.Adam(head.parameters(), lr=rate)
    for _ in range(epochs):
        for rows in torch.randperm(len(train), generator=generator).split(BATCH):
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(head(train[rows]), y[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        return voted(head(test).double().softmax(1).numpy(), test_labels, videos)


def folds(labels: np.ndarray, subjects: list[str]) -> np.ndarray:
    """Which part of the training clips each belongs to, (n,) int64: parts are left out in turn to choose the
    regularisation.

    A part is a subject. Where some class has one subject alone (a kind of animal with one individual), leaving it out
    would leave a class that nobody could find; then the clips of each class are dealt out to FOLDS parts instead.
    """
    groups = np.unique(subjects, return_inverse=True)[1]
    if all(len(np.unique(groups[labels == label])) > 1 for label in np.unique(labels)) or groups.max() < 1:
        return groups
    place = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        place[labels == label] = np.arange((labels == label).sum())
    return place % FOLDS if place.any() else groups  # one clip a class cannot be dealt out


@one_thread()
def converged_probe_features(
    train: torch.Tensor,
    train_labels: np.ndarray,
    subjects: list[str],
    test: torch.Tensor,
    test_labels: np.ndarray,
    videos: np.ndarray | None = None,
) -> ProbeResult:
    """The converged probe on given features. subjects : of the training clips; each is left out once to choose C (see
    ``folds``). videos : as in ``voted``.

    Ties go to the smaller C. Raises ConfigError when there is one training subject only, or one class only (also
    after a subject has been left out).
    """
    from sklearn.linear_model import LogisticRegression

    _check_labels(train, train_labels, test, test_labels)
    if len(subjects) != len(train):
        raise ConfigError(
            f"{len(subjects)} subjects for {len(train)} training clips", "converged probe", "one subject a clip"
        )
    groups = folds(train_labels, subjects)
    if groups.max() < 1:
        raise ConfigError(
            "one training subject", "converged probe", "at least two: one is left out to choose the regularisation"
        )
    solver = lambda x: (
        "lbfgs" if x.shape[1] < len(x) else "newton-cg"
    )  # the same optimum; L-BFGS creeps where features outnumber clips
    fit = lambda x, y, penalty: LogisticRegression(C=penalty, max_iter=2000, tol=1e-4, solver=solver(x)).fit(x, y)
    scores = dict.fromkeys(PENALTIES, 0.0)
    for left_out in range(groups.max() + 1):
        inside = groups != left_out
        if len(np.unique(train_labels[inside])) < 2:
            raise ConfigError(
                "one class is left when a subject is left out",
                "converged probe",
                "at least two classes among the clips of any but one subject",
            )
        x, held = (part.numpy() for part in in_row_space(*zscore(train[inside], train[~inside])))
        for penalty in PENALTIES:
            scores[penalty] += float(
                (fit(x, train_labels[inside], penalty).predict(held) == train_labels[~inside]).sum()
            )
    best = max(PENALTIES, key=lambda penalty: (scores[penalty], -penalty))
    x, z = (part.numpy() for part in in_row_space(*zscore(train, test)))
    head = fit(x, train_labels, best)
    probabilities = np.zeros((len(z), int(train_labels.max()) + 1))
    probabilities[:, head.classes_] = head.predict_proba(z)
    selected = {"C": best, "left-out accuracy": scores[best] / len(train_labels)}
    return replace(voted(probabilities, test_labels, videos), selected=selected)
