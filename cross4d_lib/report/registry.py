"""Every table by its name, and how they are written."""

from __future__ import annotations

from pathlib import Path

from ..experiments import RESULTS, Profile
from . import control_tables, sweep_tables, tables, task_tables, teacher_tables

TABLES = {
    "table01": tables.table01,
    "table02": teacher_tables.table02,
    "table05": task_tables.table05,
    "table06": task_tables.table06,
    "table08": tables.table08,
    "table09": tables.table09,
    "table11": tables.table11,
    "table12": task_tables.table12,
    "table14": tables.table14,
    "table15": task_tables.table15,
    "table16": task_tables.table16,
    "table17": task_tables.table17,
    "table18": teacher_tables.table18,
    "control_animals": task_tables.control_animals,
    "control_animal_actions": task_tables.control_animal_actions,
    "control_people": task_tables.control_people,
    "control_readability": task_tables.control_readability,
    "control_coverage": task_tables.control_coverage,
    "control_merge": task_tables.control_merge,
    "control_global_target": tables.control_global_target,
    "control_global_variance": tables.control_global_variance,
    "control_centring": tables.control_centring,
    "control_targets": control_tables.control_targets,
    "control_paper_size": tables.control_paper_size,
    "control_length": tables.control_length,
    "control_together": tables.control_together,
    "control_in_domain": tables.control_in_domain,
    "control_pooling": sweep_tables.control_pooling,
    "control_sweep": sweep_tables.control_sweep,
}


def write_tables(profile: Profile) -> list[Path]:
    """Write every table that has lines to results/<profile>/tables/. Returns the paths."""
    folder = RESULTS / profile.name / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in TABLES.items():
        frame = table(profile)
        if len(frame):
            frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.4f")
            written.append(folder / f"{name}.csv")
    return written
