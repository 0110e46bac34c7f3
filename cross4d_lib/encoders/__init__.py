"""4D encoders f_theta by name; one file each."""

from .base import Encoder, Tokens, count_flops, count_parameters
from .layers import Reference, normalise, reference_of
from .p4transformer import P4Transformer, P4TransformerConfig
from .point4d import Point4D, Point4DConfig
from .registry import build_encoder, encoder_config, encoder_names, register_encoder

__all__ = [
    "Encoder",
    "P4Transformer",
    "P4TransformerConfig",
    "Point4D",
    "Point4DConfig",
    "Reference",
    "Tokens",
    "build_encoder",
    "count_flops",
    "count_parameters",
    "encoder_config",
    "encoder_names",
    "normalise",
    "reference_of",
    "register_encoder",
]
