"""Notebook 15's tables: what each control reads, what it lacks beside dense, and what the gap from global to dense is
made of.

All of it from rows. A control is judged by its paired difference to dense: over test clips by the bootstrap, over seeds
by a t-test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..evaluation import paired_seeds
from ..experiments import ARTIFACTS, Profile, load_row
from .tables import PROBES, comparison, measured, method_of, verdict, with_paper

NAME = "control_targets"
STUCK = 0.8  # a loss that ends above this share of its first epoch's has hardly fallen


@dataclass(frozen=True)
class Control:
    """What a control leaves of dense's targets (``keeps``), what it takes away (``lacks``), and the ``claim`` that
    dense > it supports."""

    keeps: str
    lacks: str
    claim: str


CLAIMS = {
    "dense (UNTRAINED teacher)": Control(
        "a network's answer for each token at its own place",
        "what the teacher has learned",
        "the teacher's training matters",
    ),
    "dense (position alone)": Control(
        "a code of each token's own pixel",
        "everything the picture shows",
        "the target must say more than where the pixel is",
    ),
    "dense (geometry alone)": Control(
        "depth, normal and curvature at each token's own pixel",
        "everything but the surface there",
        "the target must say more than the surface's form",
    ),
    "dense (grey alone)": Control(
        "one number a frame, how bright it is drawn",
        "everything else the picture shows",
        "the target must say more than how bright the frame is",
    ),
    "dense (shuffled points)": Control(
        "the features of its own frame",
        "the place: each token has another token's",
        "the target must be that of the right place",
    ),
    "dense (shuffled frames)": Control(
        "the features of its own clip, at the same place",
        "the moment: they are another frame's",
        "the target must be that of the right moment",
    ),
    "dense (shuffled clips)": Control(
        "features of the same place and moment",
        "the clip: they are another one's",
        "the target must be that of the right clip",
    ),
    "dense (broadcast)": Control(
        "the clip's summary, asked of every token",
        "any difference between tokens",
        "the clip's summary on every token is not enough",
    ),
    "dense (broadcast frames)": Control(
        "each frame's summary, asked of its tokens",
        "any difference between tokens of a frame",
        "one answer a frame is not enough",
    ),
    "dense (broadcast frame means)": Control(
        "the mean of its frame's own targets, asked of each of its tokens",
        "any difference between tokens of a frame",
        "one answer a frame made of the same patches is not enough",
    ),
    "global (patch mean)": Control(
        "the mean of dense's own targets",
        "the dense loss: one question a clip",
        "dense information in one question a clip is not enough",
    ),
}

PATHS = {  # from global to dense, (what is added, method) a step; the rises of each path add up to the whole gap
    "the teacher's features throughout, the place last": (
        ("the question put to every token", "dense (broadcast)"),
        ("one answer a frame, its class token", "dense (broadcast frames)"),
        ("the mean of its patches instead", "dense (broadcast frame means)"),
        ("different answers within a frame", "dense (shuffled points)"),
        ("each at its right place", "dense"),
    ),
    "the patches' features first": (
        ("the mean of its patches instead of the class token", "global (patch mean)"),
        ("asked of every token, moment by moment", "dense (broadcast frame means)"),
        ("each patch at its own place", "dense"),
    ),
    "the place first, the teacher's features last": (
        ("the question put to every token", "dense (broadcast)"),
        ("many targets at the right place", "dense (position alone)"),
        ("the teacher's meaning", "dense"),
    ),
}


def control_targets(profile: Profile) -> pd.DataFrame:
    """Every line of ``measured``, and how far dense is ahead of it: ``dense ahead`` with its 95 % interval over clips,
    by seed, the p-values over clips and over seeds, and ``of the gap``, the share of the way from global to dense that
    it reaches.

    The share is given only where dense is ahead of global by more than the interval.
    """
    frame = with_paper(measured(profile, ARTIFACTS[NAME].runs(profile)), lambda line: np.nan)
    if frame.empty:
        return frame
    gaps = {probe: comparison(profile, "dense", "global", probe, NAME) for probe in PROBES}
    beside = [
        _beside(comparison(profile, "dense", line["method"], line["probe"], NAME), gaps[line["probe"]])
        for _, line in frame.iterrows()
    ]
    own = pd.DataFrame(beside, index=frame.index)
    at = frame.columns.get_loc("seeds")
    return pd.concat([frame.iloc[:, :at], own, frame.iloc[:, at:]], axis=1)


def _beside(c: dict, gap: dict) -> dict:
    if not c or c["first"] == c["second"]:
        return {
            "dense ahead": np.nan,
            "ahead low": np.nan,
            "ahead high": np.nan,
            "ahead by seed": "",
            "p clips": np.nan,
            "p seeds": np.nan,
            "of the gap": np.nan,
        }
    share = (
        1 - c["difference"] / gap["difference"]
        if gap and gap["ahead"] == "dense" and len(gap["by seed"]) == len(c["by seed"])
        else np.nan
    )
    told = " ".join(f"{d:+.3f}" for d in c["by seed"])
    return {
        "dense ahead": c["difference"],
        "ahead low": c["low"],
        "ahead high": c["high"],
        "ahead by seed": told,
        "p clips": c["p"],
        "p seeds": paired_seeds(c["by seed"])["p"],
        "of the gap": share,
    }


def comparisons(profile: Profile, method: str, first: str = "dense") -> list[dict]:
    """``first`` against a method under every probe; fewer where rows are missing."""
    return [c for probe in PROBES if (c := comparison(profile, first, method, probe, NAME))]


def split(profile: Profile) -> pd.DataFrame:
    """What the gap from global to dense is made of: one line a path, step and probe; ``difference`` is the rise of the
    step.

    The same gap splits otherwise in another order, so there are two. Steps one of whose ends has not been run are left
    out.
    """
    lines = []
    for path, steps in PATHS.items():
        before = "global"
        for added, method in steps:
            for c in comparisons(profile, before, method):
                told = " ".join(f"{d:+.3f}" for d in c["by seed"])
                lines.append(
                    {
                        "path": path,
                        "added": added,
                        "from": before,
                        "to": method,
                        "probe": c["probe"],
                        "difference": c["difference"],
                        "low": c["low"],
                        "high": c["high"],
                        "by seed": told,
                        "sure": c["ahead"] != "",
                    }
                )
            before = method
    return pd.DataFrame(lines)


def losses(profile: Profile) -> pd.DataFrame:
    """How far each student learned what it was asked: the cosine loss of the first and the last epoch, mean over seeds,
    and how many seeds are ``stuck`` (the last is still above STUCK of the first). 1 is what ignorance costs
    where targets are centred; a shuffled target has a floor of its own, for it cannot be foretold."""
    found: dict[str, list[list[float]]] = {}
    for spec in ARTIFACTS[NAME].runs(profile):
        if (row := load_row(spec)) and "curve" in row["measures"]:
            found.setdefault(method_of(spec), []).append(row["measures"]["curve"]["cosine"])
    lines = {
        method: {
            "first epoch": np.mean([c[0] for c in curves]),
            "last epoch": np.mean([c[-1] for c in curves]),
            "stuck": sum(c[-1] > STUCK * c[0] for c in curves),
            "seeds": len(curves),
        }
        for method, curves in found.items()
    }
    return pd.DataFrame.from_dict(lines, orient="index")


def finding(profile: Profile, method: str) -> str:
    """One paragraph about a control, every word of judgement computed from its rows. "" when it has not been run."""
    found = comparisons(profile, method)
    if not found:
        return ""
    control, frame = CLAIMS[method], control_targets(profile).set_index(["method", "probe"])
    read = lambda side: " / ".join(f"{c['means'][side]:.2f}" for c in found)  # over the seeds that both have
    told = f"{control.claim[0].upper()}{control.claim[1:]}: {verdict(found)}. The target keeps {control.keeps}; it lacks {control.lacks}. "
    told += f"Under the probes {' / '.join(c['probe'] for c in found)} it reads {read(1)}, dense {read(0)} (chance {frame['chance'].iloc[0]:.2f}). "
    told += (
        "Dense less it: "
        + ", ".join(f"{c['difference']:+.2f} [{c['low']:+.2f}, {c['high']:+.2f}]" for c in found)
        + "; "
    )
    against = [c["probe"] for c in found if min(c["by seed"]) <= 0 <= max(c["by seed"])]
    told += (
        f"the seeds do not agree about the sign under {', '.join(against)}. "
        if against and len(found[0]["by seed"]) > 1
        else "ONE seed. "
        if len(found[0]["by seed"]) == 1
        else f"no seed of {len(found[0]['by seed'])} disagrees about the sign. "
    )
    shares = [
        f"{frame.loc[(method, c['probe']), 'of the gap']:.0%} ({c['probe']})"
        for c in found
        if np.isfinite(frame.loc[(method, c["probe"]), "of the gap"])
    ]
    if shares:
        told += f"Of the way from global to dense it goes {', '.join(shares)}. "
    elif not any(c["ahead"] == "dense" for c in comparisons(profile, "global")):
        told += "Dense is not clear of global here, so there is no gap to share out. "
    learned = losses(profile)
    if method in learned.index and learned.loc[method, "stuck"]:
        told += f"The loss of {learned.loc[method, 'stuck']:.0f} of its {learned.loc[method, 'seeds']:.0f} students hardly fell (to {learned.loc[method, 'last epoch']:.2f}): too little training, or a target that cannot be foretold. "
    if shares and "global" in learned.index and learned.loc["global", "stuck"]:
        told += f"Mind where that way begins: the loss of {learned.loc['global', 'stuck']:.0f} of {learned.loc['global', 'seeds']:.0f} global students hardly fell. "
    return told.strip()
