"""Claims proved here: the command line answers without any data, says what is missing and what that blocks, and turns
errors of ours into one line. `reproduce` runs what is asked for, goes on after a failure, and keeps what is still true.
"""

import json
import os
import platform
import shutil
import subprocess
import sys

import nbformat
import pytest

from cross4d_lib import cli, doctor, reproduce
from cross4d_lib.errors import ConfigError, DataError
from cross4d_lib.experiments import ARTIFACTS
from cross4d_lib.teachers import in_domain_folder

GOOD = "print('seen', PROFILE)"
BAD = "raise ValueError('two\\nlines')"


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine with nothing on it: no data, no cache, no hub, an empty home."""
    for name in ("CROSS4D_DATA", "CROSS4D_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def book(monkeypatch, tmp_path, results):
    """book(stem, source) writes a notebook of two cells, parameters and ``source``, into a checkout of its own."""
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    monkeypatch.setattr(reproduce, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(reproduce, "LIBRARY", tmp_path / "library")
    monkeypatch.setattr(reproduce, "BUILD", tmp_path / "build")
    monkeypatch.setattr(reproduce, "write_report", lambda profile: [])
    (tmp_path / "notebooks").mkdir()

    def write(stem, source=GOOD):
        cells = [
            nbformat.v4.new_markdown_cell(f"# Question {stem}"),
            nbformat.v4.new_code_cell('PROFILE = "quick"', metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(source),
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "notebooks" / f"{stem}.ipynb")

    return write


def lines(capsys):
    return capsys.readouterr().out.splitlines()


# ---------------------------------------------------------------------------------------------- the commands


@pytest.mark.parametrize("command", ["", "reproduce", "list", "doctor", "report", "run", "train-teacher"])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.split(), "--help"])
    assert ended.value.code == 0 and "usage: cross4d" in capsys.readouterr().out


def test_help_waits_for_no_large_library():
    program = "import sys; from cross4d_lib.cli import make_parser; make_parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "transformers", "zarr", "pandas", "matplotlib"} & set(loaded)


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error():
    listing = subprocess.Popen(
        [sys.executable, "-c", "import sys; from cross4d_lib.cli import main; sys.exit(main(['list']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    listing.stdout.readline()
    listing.stdout.close()
    assert listing.wait() in (0, 1) and not listing.stderr.read()
    listing.stderr.close()


def test_lazy_names_are_the_functions_not_the_rooms():
    program = (
        "import cross4d_lib.render, cross4d_lib as c4d; assert all(hasattr(c4d, name) for name in c4d.__all__);"
        "print(c4d.render.__name__, c4d.targets.build_targets.__name__)"
    )
    assert subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split() == ["render", "build_targets"]


@pytest.mark.parametrize(
    "wrong", [["reproduce", "--jobs", "0"], ["train-teacher", "--out", "x", "--minutes", "0"], ["nothing"], []]
)
def test_wrong_usage_exits_with_2(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(wrong)
    assert ended.value.code == 2 and "usage: cross4d" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong, printed",
    [
        (["run", "--profile", "huge"], "huge"),
        (["run", "--only", "table99"], "table99"),
        (["report", "--profile", "huge"], "huge"),
        (["reproduce", "--only", "table99"], "table99"),
    ],
)
def test_our_errors_are_one_line_and_exit_with_2(wrong, printed, capsys):
    assert cli.main(wrong) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and error[0].startswith("cross4d: ") and printed in error[0] and "Fix: " in error[0]


def test_debug_shows_the_traceback():
    with pytest.raises(ConfigError):
        cli.main(["run", "--profile", "huge", "--debug"])


def test_paper_profile_without_data_says_so_at_once(bare, capsys):
    assert cli.main(["reproduce", "--profile", "paper"]) == 2
    assert "msr-action3d" in capsys.readouterr().err


def page_faults(**environment):
    """Of ten times 64 MB asked for and freed once the heap has settled, by what the shell starts."""
    program = (
        "import resource, sys, torch; from cross4d_lib import cli\n"
        "def work(times):\n"
        "    for _ in range(times): torch.ones(2**24)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "cli.main = lambda: print(-work(20) + work(10))\n"
        "cli.program()"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_PRE"))}
    command = [sys.executable, "-c", program]
    return int(subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_the_command_line_uses_freed_memory_again_unless_the_user_has_settings():
    assert page_faults() < page_faults(GLIBC_TUNABLES="") / 10


# ---------------------------------------------------------------------------------------------- list and doctor


def test_list_names_everything_without_data(bare, capsys):
    assert cli.main(["list"]) == 0
    printed = lines(capsys)
    for name, artifact in ARTIFACTS.items():
        (line,) = [line for line in printed if line.split()[:1] == [name]]
        assert artifact.notebook in line and artifact.title in line
    (data,) = [line for line in printed if line.split()[:1] == ["msr-action3d"]]
    assert "real" in data and "found 0 of 567, looked in $CROSS4D_DATA/msr-action3d (CROSS4D_DATA is not set)" in data
    (stand_in,) = [line for line in printed if line.split()[:1] == ["synthetic-actions"]]
    assert "synthetic stand-in" in stand_in and "found 600 of 600" in stand_in
    (teacher,) = [line for line in printed if line.split()[:1] == ["facebook/dinov2-large"]]
    assert "not on this machine" in teacher
    assert [line.split()[0] for line in printed if "CONTROL, no teacher" in line] == ["control/position"]


def test_list_names_the_in_domain_teachers(bare, monkeypatch, tmp_path, teacher_folder, capsys):
    monkeypatch.setenv("CROSS4D_CACHE", str(tmp_path))
    assert cli.main(["list"]) == 0 and "none here" in capsys.readouterr().out
    shutil.copytree(teacher_folder, in_domain_folder("msr-action3d"))
    assert cli.main(["list"]) == 0
    (line,) = [line for line in lines(capsys) if line.split()[:1] == ["in-domain/DATASET"]]
    assert line.endswith(" msr-action3d")


def test_list_counts_what_it_finds(bare, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CROSS4D_DATA", str(tmp_path))
    (tmp_path / "msr-action3d").mkdir()
    for name in ("a01_s01_e01_sdepth.bin", "a20_s10_e03_sdepth.mat", "notes.txt"):
        (tmp_path / "msr-action3d" / name).touch()
    cli.main(["list"])
    assert any(f"found 2 of 567 in {tmp_path / 'msr-action3d'}" in line for line in lines(capsys))


def test_doctor_is_content_without_data_and_says_what_that_blocks(bare, capsys):
    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    data = printed[printed.index("missing  msr-action3d") :].splitlines()
    assert data[1].strip() == "blocks: profile paper"
    assert "profile quick" in data[2] and "synthetic-actions" in data[2]
    assert "broken" not in printed and "weights" in printed


def test_doctor_says_which_hardware_multiplies_bfloat16(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for flags, stated in (
        ({"avx512_bf16": True}, "in hardware (avx512_bf16)"),
        ({}, "not in hardware: float32 is used"),
    ):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda flags=flags: flags)
        assert f"bfloat16 {stated}" in doctor.find_devices()[0].says


def test_doctor_fails_when_the_main_job_cannot_run(bare, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("cross4d_lib.teachers.SHIPPED", {"cross4d-tiny": tmp_path / "gone"})
    assert cli.main(["doctor"]) == 1
    assert "broken   cross4d-tiny" in capsys.readouterr().out


def test_doctor_compares_versions_with_the_pins(monkeypatch, tmp_path):
    (tmp_path / "pins.txt").write_text(
        f"# pins\npytest==0.1\nno-such-package==1.0\ntorch=={doctor.version('torch').split('+')[0]}\n"
    )
    monkeypatch.setattr(doctor, "PINS", tmp_path / "pins.txt")
    assert [(finding.topic, finding.state) for finding in doctor.find_packages()] == [
        ("pytest", "missing"),
        ("no-such-package", "broken"),
    ]


def test_doctor_goes_on_when_a_package_cannot_be_imported(monkeypatch, capsys):
    def find_nothing():
        raise ImportError("no module named nothing")

    monkeypatch.setattr(doctor, "EXAMINATIONS", (find_nothing, doctor.find_python))
    assert doctor.examine() == 1
    printed = capsys.readouterr().out
    assert "broken   nothing" in printed and "Python" in printed


# ---------------------------------------------------------------------------------------------- reproduce


@pytest.mark.slow
def test_reproduce_goes_on_after_a_failure_and_names_it(book, tmp_path, capsys):
    book("01_bad", BAD), book("02_good"), book("03_good")
    assert cli.main(["reproduce", "--jobs", "2"]) == 1
    printed = lines(capsys)
    table = printed[next(i for i, line in enumerate(printed) if line.startswith("notebook ")) :]
    assert [line.split()[:1] + line.split()[2:3] for line in table[1:4]] == [
        ["01_bad", "FAILED"],
        ["02_good", "ok"],
        ["03_good", "ok"],
    ]
    assert printed[-1] == "  01_bad: FAILED in cell [3]: ValueError: two"
    index = (tmp_path / "build" / "html" / "index.html").read_text()
    assert all(
        f'href="{stem}.html"' in index and f"Question {stem}" in index for stem in ("01_bad", "02_good", "03_good")
    )
    assert "seen quick" in (tmp_path / "build" / "html" / "02_good.html").read_text()


@pytest.mark.slow
def test_reproduce_hands_the_profile_over_and_leaves_the_notebook_alone(book, tmp_path):
    book("01_good")
    before = (tmp_path / "notebooks" / "01_good.ipynb").read_bytes()
    assert cli.main(["reproduce", "--profile", "course"]) == 0
    executed = json.dumps(nbformat.read(tmp_path / "build" / "notebooks" / "01_good.ipynb", 4))
    assert "seen course" in executed and (tmp_path / "notebooks" / "01_good.ipynb").read_bytes() == before


@pytest.mark.slow
def test_resume_keeps_what_is_still_true(book, tmp_path, capsys):
    book("01_a"), book("02_b")
    (tmp_path / "library").mkdir()
    resume = ["reproduce", "--resume", "--jobs", "2"]
    statuses = lambda: [line.split()[2] for line in lines(capsys) if line.startswith(("01_", "02_"))]
    assert cli.main(resume) == 0 and statuses() == ["ok", "ok"]
    assert cli.main(resume) == 0 and statuses() == ["kept", "kept"]
    os.utime(tmp_path / "notebooks" / "01_a.ipynb")  # a time stamp is no change
    assert cli.main(resume) == 0 and statuses() == ["kept", "kept"]
    book("01_a", GOOD + "\nprint(1)")
    assert cli.main(resume) == 0 and statuses() == ["ok", "kept"]
    (tmp_path / "library" / "method.py").write_text("changed = True")
    assert cli.main(resume) == 0 and statuses() == ["ok", "ok"]
    (tmp_path / "build" / "notebooks" / "02_b.ipynb").write_text("{")  # cut off while it was written
    assert cli.main(resume) == 0 and statuses() == ["kept", "ok"]


def test_a_result_row_decides_whether_a_copy_is_kept(book, results):
    book("06_linear_probe")
    row = results / "course" / "runs" / "abc.json"
    before = reproduce.row_key("06_linear_probe", "quick")
    row.parent.mkdir(parents=True)
    row.write_text("{}")
    assert reproduce.row_key("06_linear_probe", "quick") != before


def test_only_takes_notebooks_tables_and_figures(book):
    book("03_teacher_and_targets"), book("06_linear_probe"), book("09_other")
    assert reproduce.select(["table01", "figure02", "03"]) == ["03_teacher_and_targets", "06_linear_probe"]
    assert reproduce.select(["09_other"]) == ["09_other"]
    assert reproduce.select(None) == ["03_teacher_and_targets", "06_linear_probe", "09_other"]
    with pytest.raises(ConfigError, match="not written yet"):
        reproduce.select(["table02"])


@pytest.mark.slow
def test_tables_that_cannot_be_written_fail_the_job(book, monkeypatch, capsys):
    book("01_good")

    def refuse(profile):
        raise DataError("no rows", "runs", "run them")

    monkeypatch.setattr(reproduce, "write_report", refuse)
    assert cli.main(["reproduce"]) == 1
    assert lines(capsys)[-1].startswith("  tables: FAILED: no rows")
