"""The paper's values, tables, figures and viewers: reads result rows, never computes a result."""

from pathlib import Path


def write_report(profile: str) -> list[Path]:
    """Write all tables of a profile from its rows, ``results/<profile>/tables/*.csv``, and the README's results
    section.

    Returns the paths written.
    """
    from .readme import README, with_results
    from .registry import write_tables
    from .tables import shown_profile

    written = write_tables(shown_profile(profile))
    if README.is_file():  # not in an installed package
        README.write_text(with_results(README.read_text()))
        written.append(README)
    return written
