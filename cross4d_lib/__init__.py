"""Cross4D-JEPA, step by step: a companion library to the paper (arXiv 2607.00514).

The names here are the whole way from depth video to Table 1; each module's docstring names the equation it implements.
"""

from .clips import Clip, Video, sample_clip
from .correspondence import coverage, match_tokens, patch_index, point_features
from .datasets import dataset_names, load_dataset
from .encoders import Point4D, Point4DConfig, Tokens
from .errors import ConfigError, Cross4DError, DataError, TargetError, TeacherError
from .evaluation import converged_probe, linear_probe, pooled_features
from .render import Camera, Rendering, render
from .targets import TargetStore, build_targets
from .teachers import Features, load_teacher
from .training import pretrain

__version__ = "0.1.0"
