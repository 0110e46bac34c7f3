"""The paper's values, tables, figures and viewers: reads result rows, never computes a result."""

from pathlib import Path


def write_report(profile: str) -> list[Path]:
    """Write all tables of a profile from its rows, ``results/<profile>/tables/*.csv``. Returns the paths written."""
    from ..experiments import load_profile
    from .tables import write_tables

    return write_tables(load_profile(profile))
