"""What to run (specs, profiles), running it once (run, queue), and which run feeds which table (artifacts)."""

from .artifacts import ARTIFACTS, Artifact, Claim, runs_for
from .build import clips_of, fresh_encoder, targets_of, task_clips
from .lines import Line
from .profiles import PROFILES, ROLES, Profile, clip_settings, load_profile
from .queue import run_queue
from .run import RESULTS, load_row, load_rows, pretrained_encoder, run
from .run_lists import main_dataset, role_dataset
from .spec import RunSpec, build_spec

__all__ = [
    "ARTIFACTS",
    "Artifact",
    "Claim",
    "Line",
    "PROFILES",
    "Profile",
    "RESULTS",
    "ROLES",
    "RunSpec",
    "build_spec",
    "clip_settings",
    "clips_of",
    "fresh_encoder",
    "load_profile",
    "load_row",
    "load_rows",
    "main_dataset",
    "pretrained_encoder",
    "role_dataset",
    "run",
    "run_queue",
    "runs_for",
    "targets_of",
    "task_clips",
]
