"""What a frozen encoder is worth."""

from .correspondence import (
    GAPS,
    TAUS,
    CorrespondenceResult,
    coordinates,
    correspondence,
    encoder_features,
    token_coordinates,
)
from .features import (
    direction_spread,
    effective_rank,
    mean_pool,
    one_thread,
    pooled_features,
    zscore,
)
from .finetune import classify_finetuned, segment_finetuned
from .point_heads import segment_all, segment_converged, segment_frozen
from .probes import (
    ProbeResult,
    converged_probe,
    leave_subjects_out,
    linear_probe,
    probe_all,
    probe_all_features,
    probe_features,
)
from .readability import readability
from .segmentation import SegmentationResult, Segmenter, miou
from .statistics import (
    VERDICTS,
    Comparison,
    Interval,
    compare,
    interval,
)

__all__ = [
    "GAPS",
    "TAUS",
    "VERDICTS",
    "Comparison",
    "CorrespondenceResult",
    "Interval",
    "ProbeResult",
    "SegmentationResult",
    "Segmenter",
    "classify_finetuned",
    "compare",
    "converged_probe",
    "coordinates",
    "correspondence",
    "direction_spread",
    "effective_rank",
    "encoder_features",
    "interval",
    "leave_subjects_out",
    "linear_probe",
    "mean_pool",
    "miou",
    "one_thread",
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
    "zscore",
]
