"""Claims proved here, notebook by notebook, without running any: each was run from top to bottom and stored whole, says
what it shows, and is small enough to read. That it still runs is nbval's part of `make test`.
"""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
MOST_LINES, MOST_BYTES = 40, 2_000_000
MACHINE_PATH = re.compile(r"""["'\s(=:]/(home|root|work|tmp|Users)/""")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem, scope="module")
def path(request):
    return request.param


@pytest.fixture(scope="module")
def notebook(path):
    return nbformat.read(path, 4)


@pytest.fixture(scope="module")
def code(notebook):
    """Code cells that hold something."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def tagged(code):
    return [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]


def test_is_a_valid_notebook_for_the_kernel_python3(notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


def test_was_run_from_top_to_bottom(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any(cell.outputs for cell in code), "no outputs are stored: run `make notebooks`"
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]


def test_stores_no_warnings_or_progress_bars(code):
    noise = ["".join(output.text)[:200] for cell in code for output in cell.outputs if output.get("name") == "stderr"]
    assert not noise


def test_has_one_parameters_cell_of_literals(code):
    (cell,) = tagged(code)
    assignments = ast.parse(cell.source).body
    assert assignments and all(isinstance(node, ast.Assign) for node in assignments)
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}
    assert values["PROFILE"] == "quick"


def test_cells_are_short_and_explained(notebook, code):
    longest = max(code, key=lambda cell: len(cell.source.splitlines()))
    assert len(longest.source.splitlines()) <= MOST_LINES, longest.source[:200]
    assert sum(cell.cell_type == "markdown" for cell in notebook.cells) >= len(code)


def test_is_small(path):
    assert path.stat().st_size <= MOST_BYTES


def test_names_no_path_of_one_machine(notebook):
    assert not MACHINE_PATH.search(json.dumps(notebook))


def test_pictures_are_described(notebook):
    """After a picture comes text that says what to look for; alt text says what is on it."""
    for cell, following in zip(notebook.cells, [*notebook.cells[1:], None]):
        pictures = [output for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})]
        if pictures:
            shown = cell.source[:200]
            assert following is not None and following.cell_type == "markdown", (
                f"no text follows the picture of: {shown}"
            )
            assert "**What to look for" in following.source, f"no 'What to look for' after the picture of: {shown}"
            described = (
                all(output.metadata.get("image/png", {}).get("alt") for output in pictures)
                or "Alt text:" in following.source
            )
            assert described, (
                f"no alt text, neither in the output's metadata nor as 'Alt text:' below the picture of: {shown}"
            )
