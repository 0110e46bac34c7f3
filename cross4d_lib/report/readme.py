"""README's results section and RESULTS.md, written from the tables, so that no number there is typed."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError
from ..experiments import ARTIFACTS
from ..files import write_text
from .display import markdown, side_by_side
from .findings import findings, legend_of_verdicts
from .tables import shown_profiles, table_names

ROOT = Path(__file__).resolve().parents[2]
README, RESULTS_PAGE = ROOT / "README.md", ROOT / "RESULTS.md"
BEGIN, END = "<!-- results: written by `make report` -->", "<!-- end of results -->"
INTRODUCTION = """# Results

Written by `make report` from the rows in `results/*/runs`; every number is a row's. A column's heading says the
profile and the kind of data: PAPER is what the paper prints, REAL is recorded data, SYNTHETIC STAND-IN is made by this
library. UNTRAINED behind a line's name means that its teacher has random weights. "Older code" means that some rows
were measured by an earlier version of the code that decides results. Cells are the mean over seeds ± its deviation,
and in brackets the 95 % interval over subjects, clips and seeds.
"""


def results_section() -> str:
    """Markdown of the README: Table 1 under the paper's probe, Table 11's two lines under the z-scored one, and what
    Table 1's claims show on the largest profile that has rows."""
    frame = side_by_side("table01")
    method, probe = (frame.index.get_level_values(level) for level in ("method", "probe"))
    shown = frame[probe.isin(("linear", "")) | ((probe == "standardized") & method.isin(("random", "dense")))]
    profiles = shown_profiles()
    sentences = findings("table01", profiles[-1]) if profiles else []
    return "\n\n".join(filter(None, (markdown(shown), "\n".join(f"- {sentence}" for sentence in sentences))))


def findings_of(name: str) -> str:
    """Markdown: a sentence a claim of a table, for every profile that has rows."""
    several = {profile.name: findings(name, profile) for profile in shown_profiles()}
    return "\n".join(f"- {profile}: {sentence}" for profile, sentences in several.items() for sentence in sentences)


def results_page() -> str:
    """RESULTS.md: every table that has lines, and what each of its claims shows."""
    parts = [INTRODUCTION, "## Verdicts", markdown(legend_of_verdicts())]
    for name in table_names():
        if (frame := side_by_side(name)).empty:
            continue
        parts += [f"## {name}: {ARTIFACTS[name].title}", markdown(frame), findings_of(name)]
    return "\n\n".join(filter(None, parts)) + "\n"


def with_results(text: str) -> str:
    """README text with its results section written anew. Raises ConfigError when the markers are gone."""
    if BEGIN not in text or END not in text:
        wanted = f"put {BEGIN} and {END} on lines of their own"
        raise ConfigError("the markers of the results section are missing", README.name, wanted)
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{results_section()}\n\n{END}{rest.split(END)[1]}"


def write_pages() -> list[Path]:
    """Write both, whole or not at all. Returns their paths; none in an installed package."""
    if not README.is_file():
        return []
    write_text(README, with_results(README.read_text()))
    write_text(RESULTS_PAGE, results_page())
    return [README, RESULTS_PAGE]
