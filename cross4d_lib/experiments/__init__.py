"""What to run (specs, profiles), running it once (run, queue), and which run feeds which table (manifest)."""

from .artifacts import ARTIFACTS, Artifact, control_profile, main_dataset, role_dataset, runs_for
from .build import clips_of, fresh_encoder, targets_of, task_clips
from .old_spec import RunSpec, make_spec
from .profiles import PROFILES, ROLES, Profile, clip_settings, load_profile
from .queue import run_queue
from .run import RESULTS, load_row, load_rows, pretrained_encoder, run

__all__ = [
    "ARTIFACTS",
    "Artifact",
    "PROFILES",
    "Profile",
    "RESULTS",
    "ROLES",
    "RunSpec",
    "clip_settings",
    "clips_of",
    "control_profile",
    "fresh_encoder",
    "load_profile",
    "load_row",
    "load_rows",
    "main_dataset",
    "make_spec",
    "pretrained_encoder",
    "role_dataset",
    "run",
    "run_queue",
    "runs_for",
    "targets_of",
    "task_clips",
]
