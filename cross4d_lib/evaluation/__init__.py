"""What a frozen encoder is worth."""

from .collapse import direction_spread, effective_rank
from .converged import segment_all, segment_converged
from .correspondence import (
    GAPS,
    TAUS,
    CorrespondenceResult,
    coordinates,
    correspondence,
    encoder_features,
    token_coordinates,
)
from .features import POOLS, both_pools, frame_pool, mean_pool, pooled_features
from .probe import (
    ProbeResult,
    converged_probe,
    leave_subjects_out,
    linear_probe,
    probe_all,
    probe_all_features,
    probe_features,
)
from .readability import readability
from .segmentation import SegmentationResult, Segmenter, miou, segment_finetuned, segment_frozen
from .statistics import (
    VERDICTS,
    Comparison,
    Interval,
    bootstrap_interval,
    compare,
    grouped_bootstrap,
    interval,
    paired_bootstrap,
    paired_seeds,
)

__all__ = [
    "GAPS",
    "POOLS",
    "TAUS",
    "VERDICTS",
    "Comparison",
    "CorrespondenceResult",
    "Interval",
    "ProbeResult",
    "SegmentationResult",
    "Segmenter",
    "bootstrap_interval",
    "both_pools",
    "compare",
    "converged_probe",
    "coordinates",
    "correspondence",
    "direction_spread",
    "effective_rank",
    "encoder_features",
    "frame_pool",
    "grouped_bootstrap",
    "interval",
    "leave_subjects_out",
    "linear_probe",
    "mean_pool",
    "miou",
    "paired_bootstrap",
    "paired_seeds",
    "pooled_features",
    "probe_all",
    "probe_all_features",
    "probe_features",
    "readability",
    "segment_all",
    "segment_converged",
    "segment_finetuned",
    "segment_frozen",
    "token_coordinates",
]
