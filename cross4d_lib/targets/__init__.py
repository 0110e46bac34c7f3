"""The targets of each token: built once (Eq. 1 to 4), kept in a store, read in batches."""

from .batch import Batch, merge_views
from .build import build_targets, clip_targets, fit_pca, store_spec
from .store import TargetStore, key_of

__all__ = ["Batch", "TargetStore", "build_targets", "clip_targets", "fit_pca", "key_of", "merge_views", "store_spec"]
