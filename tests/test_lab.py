"""Claim: `make lab` serves the notebooks in JupyterLab, with the extension that turns plotly figures, and ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE_STARTED = 90.0  # seconds within which a server answers


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def lab_command():
    """The words with which `make lab` starts the server; the interpreter is that of this test."""
    printed = subprocess.run(["make", "-n", "lab"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in printed.splitlines() if "jupyterlab" in line]
    return line.split()[1:]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """fetch(path) -> the text of a page of a running server."""
    folder, port = tmp_path_factory.mktemp("lab"), free_port()
    options = ["--no-browser", f"--port={port}", "--port-retries=0", "--allow-root", "--IdentityProvider.token="]
    places = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    log = open(folder / "log", "w+")
    server = subprocess.Popen(
        [sys.executable, *lab_command(), *options],
        cwd=ROOT,
        env=os.environ | places,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    fetch = lambda path: urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30).read().decode()
    try:
        end = time.monotonic() + PAGE_STARTED
        while True:
            try:
                fetch("/api")
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < end, (folder / "log").read_text()[-2000:]
                time.sleep(0.2)
        yield fetch
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        log.close()
    with pytest.raises(ProcessLookupError):  # nothing of its process group is left
        os.killpg(server.pid, 0)


@pytest.mark.slow
def test_lab_serves_a_page_and_a_notebook(lab):
    assert "JupyterLab" in lab("/lab")
    listed = {entry["name"] for entry in json.loads(lab("/api/contents"))["content"]}
    assert listed >= {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    notebook = json.loads(lab("/api/contents/00_start_here.ipynb"))
    assert notebook["type"] == "notebook" and notebook["content"]["cells"]


@pytest.mark.slow
def test_lab_turns_plotly_figures(lab):
    config = lab("/lab").split('id="jupyter-config-data" type="application/json">')[1].split("</script>")[0]
    extensions = {entry["name"]: entry["load"] for entry in json.loads(config)["federated_extensions"]}
    assert "plotly" in lab(f"/lab/extensions/jupyterlab-plotly/{extensions['jupyterlab-plotly']}").lower()
