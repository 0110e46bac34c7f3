"""The main job: every notebook from start to end in a fresh kernel, and pages to read what came of it.

``build/notebooks`` gets the executed copies, ``build/html`` the pages and their index, ``results/<profile>`` the
tables. The notebooks themselves are not touched. A notebook that fails does not stop the others.
"""

from __future__ import annotations

import hashlib
import html
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import nbformat

from .errors import ConfigError, Cross4DError
from .experiments import ARTIFACTS, PROFILES, load_profile, main_dataset, runs_for
from .experiments.run import row_path, rows_folder
from .files import write_text
from .report import write_report

LIBRARY = Path(__file__).resolve().parent
ROOT = LIBRARY.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
STAMP = "cross4d"  # where an executed copy's Outcome lies in its metadata


@dataclass(frozen=True)
class Outcome:
    """How a notebook went. status : "ok", "kept" (see ``--resume``), or why it failed. key : hash of all it was run
    with."""

    notebook: str
    profile: str
    seconds: float
    status: str
    key: str = ""

    @property
    def good(self) -> bool:
        return self.status in ("ok", "kept")


def reproduce(profile: str = "quick", only: list[str] | None = None, jobs: int = 1, resume: bool = False) -> int:
    """Run the notebooks of a profile. Returns 0, or 1 when one of them, or writing the tables, failed.

    only : notebooks, tables or figures (``select``). jobs : notebooks at once; they share the cores. resume : keep the
    executed copies whose notebook, library and rows (``source_key``, ``row_key``) are what they are now.

    Raises ConfigError on an unknown name, DataError when the profile's data are not there and it has no stand-in for
    them.
    """
    main_dataset(load_profile(profile))
    stems = select(only)
    (BUILD / "notebooks").mkdir(parents=True, exist_ok=True)
    (BUILD / "html").mkdir(exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else None
    outcomes: dict[str, Outcome] = {}
    started = time.perf_counter()
    pool = ThreadPoolExecutor(jobs)
    try:
        running = [pool.submit(run_notebook, stem, profile, threads, resume) for stem in stems]
        for done in as_completed(running):
            outcome = done.result()
            outcomes[outcome.notebook] = outcome
            print(
                f"[{len(outcomes):2}/{len(stems)}] {outcome.notebook:32}{outcome.seconds:6.0f} s  {outcome.status}",
                flush=True,
            )
    finally:
        pool.shutdown(
            cancel_futures=True
        )  # an interrupt reaches the running notebooks too; those that wait do not start
    tables = refresh_tables(profile)
    write_index()
    print_table([outcomes[stem] for stem in stems], tables, time.perf_counter() - started)
    return 0 if tables.good and all(outcome.good for outcome in outcomes.values()) else 1


def notebook_stems() -> list[str]:
    """All notebooks in reading order. Raises ConfigError where there are none: the library without its checkout."""
    stems = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    if not stems:
        raise ConfigError(
            "there are no notebooks", NOTEBOOKS, "run this from a checkout of the project, installed with `make setup`"
        )
    return stems


def select(only: list[str] | None) -> list[str]:
    """Notebooks by name (``06_linear_probe``), number (``06``), or the table or figure they show; None for all.

    Raises ConfigError on a name that is none of these, or whose notebook is not written yet.
    """
    stems = notebook_stems()
    by_name = (
        {stem.split("_")[0]: stem for stem in stems}
        | {stem: stem for stem in stems}
        | {name: artifact.notebook for name, artifact in ARTIFACTS.items()}
    )
    chosen = set()
    for name in only or stems:
        if name not in by_name:
            raise ConfigError(
                f"no notebook, table or figure is called {name!r}", "--only", "`cross4d list` shows the names"
            )
        if by_name[name] not in stems:
            raise ConfigError(
                f"{name} is planned for notebook {by_name[name]}, which is not written yet",
                "--only",
                "`cross4d list` shows what is there",
            )
        chosen.add(by_name[name])
    return sorted(chosen)


# ---------------------------------------------------------------------------------------------- one notebook


def run_notebook(stem: str, profile: str, threads: int | None, resume: bool) -> Outcome:
    """Execute a notebook with its parameter PROFILE set, then write its page. threads : torch threads, None for all
    cores."""
    sources, earlier = source_key(stem), read_outcome(stem)
    if (
        resume
        and earlier
        and earlier.status == "ok"
        and page_path(stem).is_file()
        and earlier.key == f"{sources}-{row_key(stem, profile)}"
    ):
        return replace(earlier, status="kept")
    for stale in (copy_path(stem), page_path(stem)):
        stale.unlink(missing_ok=True)
    started = time.perf_counter()
    environment = {**os.environ, "JUPYTER_PREFER_ENV_PATH": "1"} | (
        {"OMP_NUM_THREADS": str(threads)} if threads else {}
    )
    command = [
        "-m",
        "papermill",
        NOTEBOOKS / f"{stem}.ipynb",
        copy_path(stem),
        "-p",
        "PROFILE",
        profile,
        "--cwd",
        NOTEBOOKS,
        "--no-progress-bar",
    ]
    ended = subprocess.run([sys.executable, *map(str, command)], env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    status = "ok" if ended.returncode == 0 else failure(stem, ended.stderr)
    # the rows' key is taken afterwards: those that the notebook itself wrote are among what it shows
    outcome = Outcome(stem, profile, seconds, status, f"{sources}-{row_key(stem, profile)}")
    if copy_path(stem).is_file():
        stamp(stem, outcome)
        write_page(stem)
    return outcome


def source_key(stem: str) -> str:
    """Hash of what a notebook runs: itself, the library with its teacher, and the pins."""
    library = sorted(path for path in LIBRARY.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return content_hash([NOTEBOOKS / f"{stem}.ipynb", ROOT / "requirements.txt", *library])


def row_key(stem: str, profile: str) -> str:
    """Hash of the result rows that a notebook shows, and of the profile.

    Of this profile those that a table or figure of the notebook asks for (all, where the manifest names none for it);
    of the other profiles, which notebooks show beside it, all.
    """
    names = [name for name, artifact in ARTIFACTS.items() if artifact.notebook == stem]
    own = (
        [row_path(spec) for spec in runs_for(load_profile(profile), names)]
        if names
        else sorted(rows_folder(profile).glob("*.json"))
    )
    others = [path for other in PROFILES if other != profile for path in sorted(rows_folder(other).glob("*.json"))]
    return content_hash([rows_folder(profile).parent, *own, *others])


def content_hash(paths: list[Path]) -> str:
    """Hash of names and contents, 12 hex digits; what is not there counts by its name."""
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path.parent.name}/{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def copy_path(stem: str) -> Path:
    return BUILD / "notebooks" / f"{stem}.ipynb"


def page_path(stem: str) -> Path:
    return BUILD / "html" / f"{stem}.html"


def read_outcome(stem: str) -> Outcome | None:
    """What the executed copy says of its run; None where there is no copy, or one that was cut off."""
    try:
        return Outcome(**nbformat.read(copy_path(stem), 4).metadata[STAMP])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stamp(stem: str, outcome: Outcome) -> None:
    notebook = nbformat.read(copy_path(stem), 4)
    notebook.metadata[STAMP] = asdict(outcome)
    write_text(copy_path(stem), nbformat.writes(notebook))


def failure(stem: str, stderr: str) -> str:
    """Why a notebook failed, in one line: the error its executed copy holds, or the last words of papermill."""
    if copy_path(stem).is_file():
        for cell in nbformat.read(copy_path(stem), 4).cells:
            for output in cell.get("outputs", ()):
                if output.output_type == "error":
                    return f"FAILED in cell [{cell.execution_count}]: {output.ename}: {first_line(output.evalue)}"
    return f"FAILED: {first_line(stderr.strip().splitlines()[-1]) if stderr.strip() else 'papermill said nothing'}"


def first_line(text: str) -> str:
    return (text.splitlines() or [""])[0][:200]


# ---------------------------------------------------------------------------------------------- pages and tables


def write_page(stem: str) -> None:
    from .pages import page

    write_text(page_path(stem), page(nbformat.read(copy_path(stem), 4)))


def write_index() -> None:
    """``build/html/index.html``: every notebook that has a page, with its title and how it went."""
    rows = []
    for stem in notebook_stems():
        if (outcome := read_outcome(stem)) and page_path(stem).is_file():
            cells = [
                f'<a href="{stem}.html">{html.escape(title_of(stem))}</a>',
                outcome.profile,
                f"{outcome.seconds:.0f} s",
                html.escape(outcome.status),
            ]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    style = "body { font-family: sans-serif; margin: 2em } td, th { padding: .3em 1em; text-align: left }"
    title = "Cross4D-JEPA, step by step"
    head = "<tr><th>Notebook</th><th>Profile</th><th>Time</th><th>Status</th></tr>"
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
        f"</head>\n<body><h1>{title}</h1>\n<table>{head}\n"
    )
    write_text(BUILD / "html" / "index.html", page + "\n".join(rows) + "\n</table></body></html>\n")


def title_of(stem: str) -> str:
    """The first heading of a notebook, or its name."""
    for cell in nbformat.read(NOTEBOOKS / f"{stem}.ipynb", 4).cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if line.startswith("# "):
                return line[2:].strip()
    return stem


def refresh_tables(profile: str) -> Outcome:
    """Write the profile's tables from the rows, which the notebooks may have added to."""
    started = time.perf_counter()
    try:
        write_report(profile)
        status = "ok"
    except Cross4DError as error:
        status = f"FAILED: {first_line(str(error))}"
    return Outcome("tables", profile, time.perf_counter() - started, status)


def print_table(outcomes: list[Outcome], tables: Outcome, seconds: float) -> None:
    """The closing table, then the failures by name."""
    print(f"\n{'notebook':32}{'seconds':>8}  {'status':8}page")
    for outcome in outcomes:
        page = page_path(outcome.notebook)
        print(
            f"{outcome.notebook:32}{outcome.seconds:8.1f}  "
            f"{outcome.status.split()[0]:8}{page.relative_to(ROOT) if page.is_file() else '-'}"
        )
    print(
        f"{'tables':32}{tables.seconds:8.1f}  "
        f"{tables.status.split()[0]:8}{os.path.relpath(rows_folder(tables.profile).parent / 'tables', ROOT)}"
    )
    failed = [outcome for outcome in [*outcomes, tables] if not outcome.good]
    print(
        f"\n{len(outcomes)} notebooks in {seconds:.0f} s, {len(failed) or 'nothing'} failed. All pages: "
        f"{(BUILD / 'html' / 'index.html').relative_to(ROOT)}"
    )
    for outcome in failed:
        print(f"  {outcome.notebook}: {outcome.status}")
