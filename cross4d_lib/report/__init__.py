"""The paper's values, tables, findings, figures and viewers: reads result rows, never computes a result."""

from pathlib import Path


def write_report(profile: str) -> list[Path]:
    """Write all tables of a profile from its rows, ``results/<profile>/tables/*.csv``, README's results section and
    RESULTS.md. Returns the paths written."""
    from .readme import write_pages
    from .tables import shown_profile, write_tables

    return write_tables(shown_profile(profile)) + write_pages()
