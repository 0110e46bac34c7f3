"""What a frozen encoder is worth."""

from .collapse import direction_spread, effective_rank
from .features import mean_pool, pooled_features
from .probe import ProbeResult, converged_probe, linear_probe, probe_all, probe_features
from .statistics import bootstrap_interval, grouped_bootstrap, paired_bootstrap

__all__ = [
    "ProbeResult", "bootstrap_interval", "converged_probe", "direction_spread", "effective_rank", "grouped_bootstrap", "linear_probe",
    "mean_pool", "paired_bootstrap", "pooled_features", "probe_all", "probe_features",
]  # fmt: skip
