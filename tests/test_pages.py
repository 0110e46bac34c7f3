"""Claims proved here: a page holds all it shows. Without a network its mathematics is typeset, its figure turns."""

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from cross4d_lib.pages import PLOTLY, page

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = ["--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
TEXT = r"""# A page

Inline $\frac{a}{b} < \hat y_j$, and

$$\mathcal{L} = \sum_{j \in V} \left(1 - \cos(\hat y_j, \bar y_j)\right)$$

\begin{align} a &= b \\ c &= d \end{align}

The price is 5\$, `$HOME` is code."""
DRAG = """<script>
addEventListener("load", () => setTimeout(() => {
  const graph = document.querySelector(".js-plotly-plot"), scene = graph._fullLayout.scene._scene;
  const canvas = graph.querySelector("canvas"), box = canvas.getBoundingClientRect();
  const eye = () => JSON.stringify(scene.getCamera().eye), before = eye();
  const send = (kind, x, buttons) => canvas.dispatchEvent(new MouseEvent(
    kind, {bubbles: true, clientX: box.left + x, clientY: box.top + 200, buttons: buttons, button: 0}));
  send("mousedown", 200, 1);
  for (let k = 1; k < 10; k++) setTimeout(() => send("mousemove", 200 + 10 * k, 1), 50 * k);
  setTimeout(() => send("mouseup", 300, 0), 600);
  setTimeout(() => {
    const width = document.querySelector("math mfrac").getBoundingClientRect().width;
    document.title = (eye() == before ? "still" : "turned") + (width > 0 ? " typeset" : " bare");
  }, 1500);
}, 1500));
</script>"""


def notebook_with(*outputs):
    """A notebook of TEXT and one cell for each display bundle."""
    cells = [nbformat.v4.new_markdown_cell(TEXT)]
    for data in outputs:
        cells.append(nbformat.v4.new_code_cell("show", outputs=[nbformat.v4.new_output("display_data", data)]))
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture(scope="module")
def whole():
    """A page with mathematics and two figures of three points, beside a picture of one of them."""
    cloud = {"type": "scatter3d", "x": [0, 1, 2], "y": [0, 1, 0], "z": [0, 0, 1], "text": "</script>"}
    bundle = {PLOTLY: {"data": [cloud], "layout": {"height": 400}}, "image/png": "iVBORw0KGgo="}
    return page(notebook_with(bundle, bundle))


def loaded(html):
    """Addresses that a browser opens by itself to show a page, those inside the page (data:) left out."""
    soup = BeautifulSoup(html, "html.parser")
    found = [element.get(name) for tag, name in LOADED.items() for element in soup.find_all(tag)]
    styles = "".join(style.get_text() for style in soup.find_all("style"))
    found += re.findall(r"""(?:@import|url\()\s*["']?([^"')\s]+)""", styles)
    return [address for address in found if address and not address.startswith(("data:", "#"))]


def visible_text(html):
    soup = BeautifulSoup(html, "html.parser")
    for element in soup(["script", "style", "math", "code", "pre"]):
        element.decompose()
    return soup.get_text()


def test_mathematics_is_typeset_in_the_page(whole):
    maths = BeautifulSoup(whole, "html.parser").find_all("math")
    assert [element.get("display") for element in maths] == ["inline", "block", "block"]
    assert maths[0].find("mfrac") and maths[1].find("munder") and maths[2].find("mtable")
    assert "$$" not in visible_text(whole) and "5$" in visible_text(whole) and "$HOME" in whole


def test_plotly_is_inside_once_and_only_where_a_figure_is(whole):
    assert whole.count("* plotly.js v") == 1 and whole.count("Plotly.newPlot(") >= 2
    assert "plotly.js" not in page(notebook_with({"text/plain": "no figure"}))


def test_nothing_is_loaded_from_elsewhere(whole):
    assert loaded(whole) == []
    assert loaded("<script src='https://a.b/c.js'></script><style>@import 'x.css'</style>") == [
        "https://a.b/c.js",
        "x.css",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_page_of_every_notebook_is_whole(path):
    notebook = nbformat.read(path, 4)
    html = page(notebook)
    assert loaded(html) == [] and "$$" not in visible_text(html)
    assert "<merror" not in html and not re.findall(r"<m[iot]\w*>\\", html), "TeX that MathML does not render"
    figures = any(PLOTLY in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert html.count("* plotly.js v") == figures


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here to open a page with: install chromium to run this test")
def test_a_browser_without_network_shows_it(whole, tmp_path):
    (tmp_path / "page.html").write_text(whole + DRAG, encoding="utf-8")
    options = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'browser'}"]
    shown = subprocess.run(
        [CHROMIUM, *FLAGS, *options, "--virtual-time-budget=20000", "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "<title>turned typeset" in shown.stdout, shown.stderr[-2000:]
