"""What is here: tables, figures, datasets, teachers. Nothing is downloaded, and nothing needs to be there for it to
answer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from .datasets import dataset_names, load_source
from .errors import Cross4DError
from .experiments import ARTIFACTS, PROFILES, RESULTS, Artifact
from .files import expanded
from .teachers import CONTROL_TEACHERS, PACKAGED, SHIPPED, UNTRAINED, cached_teacher, in_domain_folder


@dataclass(frozen=True)
class DatasetState:
    """A dataset as it is found. found, expected : videos; place : where it was looked for, in words."""

    name: str
    stand_in: bool
    kind: str
    found: int
    expected: int | None
    place: str

    def __str__(self) -> str:
        of = f" of {self.expected}" if self.expected else ""
        return f"found {self.found}{of}{' in' if self.found else ', looked in'} {self.place}"


def dataset_state(name: str) -> DatasetState:
    """Count the videos of a dataset where $CROSS4D_DATA says they are."""
    source = load_source(name)
    base = os.environ.get("CROSS4D_DATA")
    place = (
        "this library"
        if source.stand_in
        else str(expanded(base) / (source.folder or name))
        if base
        else f"$CROSS4D_DATA/{source.folder or name} (CROSS4D_DATA is not set)"
    )
    try:
        found = len(source.entries(None))
    except Cross4DError:
        found = 0
    return DatasetState(name, source.stand_in, source.kind, found, source.expected.get("all"), place)


def dataset_states() -> list[DatasetState]:
    return [dataset_state(name) for name in dataset_names()]


def hub_teachers() -> list[str]:
    """Teachers that a profile asks for and the library does not ship: hub ids. (Untrained ones need nothing.)"""
    return sorted(
        {
            name
            for profile in PROFILES.values()
            for name in (profile.teacher, *profile.teachers)
            if not name.endswith(UNTRAINED)
        }
        - {*SHIPPED, *PACKAGED}
    )


def teacher_present(name: str) -> bool:
    """Are configuration and weights on this machine: shipped, fetched, or in the hub's cache? No network."""
    if name in SHIPPED or name in PACKAGED:
        return (SHIPPED.get(name, cached_teacher(name)) / "model.safetensors").is_file()
    return all(isinstance(try_to_load_from_cache(name, file), str) for file in ("config.json", "model.safetensors"))


def artifact_path(name: str, artifact: Artifact, profile: str) -> Path:
    """Where a table or figure of a profile is written."""
    return RESULTS / profile / f"{artifact.kind}s" / f"{name}.{'csv' if artifact.kind == 'table' else 'png'}"


def print_list() -> None:
    """Tables and figures, datasets, teachers: name, where it is shown or looked for, and whether it is here."""
    print("Tables and figures (notebook; profiles it is present for)")
    for name, artifact in ARTIFACTS.items():
        present = [profile for profile in PROFILES if artifact_path(name, artifact, profile).is_file()]
        state = ", ".join(present) or ("not computed yet" if artifact.ready else "planned")
        print(f"  {name:27} {artifact.notebook:32}{state:24}{artifact.title}")
    print("\nDatasets")
    for dataset in dataset_states():
        print(f"  {dataset.name:27} {dataset.kind:32}{dataset}")
    print("\nTeachers")
    origins = dict.fromkeys(SHIPPED, "ships with the library") | dict.fromkeys(PACKAGED, "from get-teacher")
    for name in [*origins, *hub_teachers()]:
        origin = origins.get(name, "from the Hugging Face hub")
        print(f"  {name:27} {origin:32}{'present' if teacher_present(name) else 'not on this machine'}")
    own = [name for name in dataset_names() if (in_domain_folder(name) / "model.safetensors").is_file()]
    print(f"  {'in-domain/DATASET':27} {'from train-teacher --data':32}{', '.join(own) or 'none here'}")
    print(f"  {'NAME/untrained':27} {'a control':32}the same architecture with random weights: no file, no network")
    for name, control in CONTROL_TEACHERS.items():
        print(f"  {name:27} {'computed, no weights':32}{control.description}")
