"""Pretext objectives. Each is a module with a ``loss(tokens, batch)``; the training loop knows none of them by name."""

from ..errors import ConfigError
from .dense_global import Dense, Global, cosine_loss, variance_loss
from .target_controls import CONTROLS, ControlledTargets, controlled

__all__ = [
    "CONTROLS",
    "ControlledTargets",
    "Dense",
    "Global",
    "controlled",
    "cosine_loss",
    "load_pretext",
    "variance_loss",
]


def load_pretext(
    granularity: str, dim: int, targets, variance_weight: float = 1.0, centre: bool = True, summary: str = "class"
):
    """The pretext by name: "dense" (Eq. 5) or "global" (one target a clip). dim : C. targets : the store, for d_p and
    means.

    summary : the global target, "class" or "mean". Raises ConfigError on another name.
    """
    if granularity == "dense":
        return Dense(dim, targets.dim, targets.mean["dense"] if centre else None, variance_weight)
    if granularity == "global":
        if summary not in ("class", "mean"):
            raise ConfigError(f"global target {summary!r}", "load_pretext", '"class" or "mean"')
        return Global(dim, targets.dim, targets.mean[summary] if centre else None, variance_weight, summary)
    raise ConfigError(f"granularity {granularity!r}", "load_pretext", '"dense" or "global"')
