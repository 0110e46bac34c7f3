"""Claim: the README says what is true now: its results are those of the rows, its index that of the folder, its code
runs."""

import re
from pathlib import Path

import pytest

from cross4d_lib.report.readme import BEGIN, END, README, RESULTS_PAGE, results_page, results_section, with_results

ROOT = Path(__file__).parents[1]
TEXT = README.read_text()


def test_results_are_written_from_the_rows_at_hand():
    assert with_results(TEXT) == TEXT, "run `make report`"
    assert results_section() in TEXT.split(BEGIN)[1].split(END)[0]


@pytest.mark.slow
def test_the_results_page_is_written_from_the_rows_at_hand():
    assert RESULTS_PAGE.read_text() == results_page(), "run `make report`"


def test_the_readme_is_short():
    """What a newcomer reads before the first run, tables among it; code does not count."""
    assert len(re.sub("```.*?```", "", TEXT, flags=re.S).split()) <= 1200


def test_the_index_lists_every_notebook_and_only_those():
    listed = re.findall(r"\(notebooks/(\w+)\.ipynb\)", TEXT)
    assert listed == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_every_linked_file_is_there():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert links and not [link for link in links if not (ROOT / link).exists()]


@pytest.mark.slow
def test_the_ten_lines_run(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CROSS4D_CACHE", str(tmp_path))
    code = TEXT.split("```python")[1].split("```")[0]
    smaller = code.replace("limit=80", "limit=20").replace("epochs=20", "epochs=1")
    assert smaller != code
    exec(compile(smaller, "README.md", "exec"), {})
    assert 0 <= float(capsys.readouterr().out.split()[-1]) <= 1
