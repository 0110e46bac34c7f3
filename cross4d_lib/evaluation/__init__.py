"""What a frozen encoder is worth."""

from .features import pooled_features
from .probe import ProbeResult, converged_probe, linear_probe, probe_all, probe_features
from .statistics import bootstrap_interval, paired_bootstrap

__all__ = ["ProbeResult", "bootstrap_interval", "converged_probe", "linear_probe", "paired_bootstrap", "pooled_features", "probe_all", "probe_features"]
