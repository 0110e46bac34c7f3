"""Pages that a browser shows whole without a network: mathematics as MathML, plotly.js inside the page, once."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from uuid import uuid4

from latex2mathml import converter
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from plotly.offline import get_plotlyjs

PLOTLY = "application/vnd.plotly.v1+json"
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}{{ resources.plotly }}{% endblock %}"""


def mathml(tex: str, display: str = "inline") -> str:
    """A formula as a MathML element. display : "inline" or "block"."""
    return converter.convert(re.sub(r"\\arg(?![a-zA-Z])", r"\\operatorname{arg}", tex.strip()), display=display)


class MathRenderer(IPythonRenderer):
    """Markdown to HTML, with each formula as MathML in place of TeX between dollars."""

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


class PageExporter(HTMLExporter):
    """nbconvert's page of a notebook, without the scripts that it loads from elsewhere."""

    raw_template = TEMPLATE

    def markdown2html(self, source: str) -> str:
        return MarkdownWithMath(renderer=MathRenderer(escape=False)).render(source)


def page(notebook: NotebookNode) -> str:
    """The HTML of an executed notebook."""
    notebook = deepcopy(notebook)
    figures = [
        output for cell in notebook.cells for output in cell.get("outputs", ()) if PLOTLY in output.get("data", {})
    ]
    for output in figures:
        output.data["text/html"] = figure_html(output.data[PLOTLY], output.data.get("image/png"))
    script = f"<script>{get_plotlyjs()}</script>" if figures else ""
    return PageExporter().from_notebook_node(notebook, resources={"plotly": script})[0]


def figure_html(figure: dict, picture: str | None) -> str:
    """A plotly figure (JSON) that turns. picture : base64 of a PNG, for a browser without scripts."""
    name = f"figure-{uuid4().hex}"
    instead = f'<noscript><img alt="" src="data:image/png;base64,{picture}"></noscript>' if picture else ""
    content = json.dumps(figure).replace("</", "<\\/")
    return f'<div id="{name}"></div>{instead}<script>Plotly.newPlot("{name}", {content})</script>'
