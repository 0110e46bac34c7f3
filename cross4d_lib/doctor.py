"""``cross4d doctor``: is everything here that the notebooks need, and what does each missing thing block?"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .errors import Cross4DError

PINS = Path(__file__).resolve().parents[1] / "requirements.txt"
ENOUGH_MEMORY = 4e9  # bytes, for one notebook
ENOUGH_DISK = 2e9  # bytes; one target store at the paper's size takes about 1e9


@dataclass(frozen=True)
class Finding:
    """One examined thing. state : "ok", "missing" (only what ``blocks`` names suffers) or "broken" (the main job
    does)."""

    topic: str
    state: str
    says: str
    blocks: str = ""
    works: str = ""

    def __str__(self) -> str:
        lines = [f"{self.state:9}{self.topic:27}{self.says}"]
        lines += [
            f"{'':36}{word}: {text}" for word, text in (("blocks", self.blocks), ("still works", self.works)) if text
        ]
        return "\n".join(lines)


def pinned() -> dict[str, str]:
    """Package -> version, from requirements.txt."""
    return dict(re.findall(r"^([\w-]+)==(\S+)", PINS.read_text(), re.MULTILINE))


def find_python() -> list[Finding]:
    return [Finding("Python", "ok", f"{platform.python_version()} in {sys.prefix}")]


def find_packages() -> list[Finding]:
    """Installed versions beside the pins. A build tag such as ``+cpu`` is not a difference."""
    if not PINS.is_file():
        return [
            Finding(
                "packages",
                "missing",
                "no requirements.txt beside the library, so nothing to compare with",
                "`cross4d reproduce`: the notebooks lie there too",
                "the library; install it with `make setup` in a checkout",
            )
        ]
    findings = []
    for name, wanted in pinned().items():
        try:
            found = version(name)
        except PackageNotFoundError:
            findings.append(
                Finding(
                    name,
                    "broken",
                    f"not installed, pinned at {wanted}",
                    "whatever imports it",
                    "`make setup` installs it",
                )
            )
            continue
        if found.split("+")[0] != wanted:
            findings.append(
                Finding(
                    name,
                    "missing",
                    f"{found} is installed, pinned is {wanted}",
                    "numbers and stored outputs may differ",
                    "everything, most likely; `make setup` installs the pinned one",
                )
            )
    return findings or [Finding("packages", "ok", f"all {len(pinned())} as pinned, torch is {version('torch')}")]


def find_kernel() -> list[Finding]:
    """Notebooks ask for the kernel ``python3``; it must start this Python."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return [
            Finding(
                "notebook kernel",
                "broken",
                "there is no kernel python3",
                "running any notebook",
                "the library; `make setup` installs ipykernel",
            )
        ]
    if program in ("python", "python3") or Path(program) == Path(sys.executable):
        return [Finding("notebook kernel", "ok", "python3 is this Python")]
    return [
        Finding(
            "notebook kernel",
            "broken",
            f"python3 starts {program}",
            "running notebooks with these packages",
            "the library; set JUPYTER_PREFER_ENV_PATH=1, as `make` does",
        )
    ]


def find_devices() -> list[Finding]:
    import torch

    from .precision import INSTRUCTIONS, has_bfloat16

    def computes_in(device: str, by: str) -> str:
        return f"bfloat16 in hardware{by}" if has_bfloat16(device) else "bfloat16 not in hardware: float32 is used"

    flags = torch.cpu.get_capabilities()
    by = ", ".join(name for name in INSTRUCTIONS if flags.get(name))
    cpu = f"{torch.get_num_threads()} torch threads, {os.cpu_count()} cores, {computes_in('cpu', f' ({by})')}"
    findings = [Finding("CPU", "ok", cpu)]
    if torch.cuda.is_available():
        gpu = f"{torch.cuda.get_device_name(0)}, {computes_in('cuda', '')}"
        return [*findings, Finding("GPU", "ok", gpu)]
    return [
        *findings,
        Finding(
            "GPU",
            "missing",
            "none that torch can use",
            "the paper profile in reasonable time",
            "the quick and course profiles, on the CPU",
        ),
    ]


def find_room() -> list[Finding]:
    """Memory, and disk where targets and encoders are cached."""
    from .files import cache_folder

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    findings = [Finding("memory", "ok", f"{memory / 1e9:.0f} GB")]
    if memory < ENOUGH_MEMORY:
        findings = [
            Finding(
                "memory",
                "missing",
                f"{memory / 1e9:.1f} GB",
                "the course and paper profiles, --jobs above 1",
                "quick, one notebook at a time",
            )
        ]
    cache = cache_folder()
    there = next(folder for folder in [cache, *cache.absolute().parents] if folder.is_dir())
    if not os.access(there, os.W_OK):
        return [
            *findings,
            Finding(
                "cache folder",
                "broken",
                f"{cache} cannot be written",
                "building targets, so all pretraining",
                "reading results; set CROSS4D_CACHE to another folder",
            ),
        ]
    free = shutil.disk_usage(there).free
    if free < ENOUGH_DISK:
        return [
            *findings,
            Finding(
                "cache folder",
                "missing",
                f"{free / 1e9:.1f} GB free in {cache}",
                "target stores of the course and paper profiles",
                "quick; or set CROSS4D_CACHE to another disk",
            ),
        ]
    return [*findings, Finding("cache folder", "ok", f"{free / 1e9:.0f} GB free in {cache}")]


def find_data() -> list[Finding]:
    from .experiments import PROFILES
    from .inventory import dataset_states

    findings = []
    for data in dataset_states():
        if data.found:
            findings.append(Finding(data.name, "ok", f"{data}{' (synthetic stand-in)' if data.stand_in else ''}"))
            continue
        readers = [profile for profile in PROFILES.values() if profile.dataset == data.name]
        stopped = [f"profile {profile.name}" for profile in readers if profile.fallback is None]
        instead = [
            f"profile {profile.name}, on {profile.fallback} (a stand-in, and called so)"
            for profile in readers
            if profile.fallback
        ]
        others = [f"profile {profile.name}" for profile in PROFILES.values() if profile not in readers]
        works = "; ".join([*others, *instead]) if readers else "every profile: none reads it"
        findings.append(
            Finding(data.name, "missing", str(data), ", ".join(stopped) or f'load_dataset("{data.name}")', works)
        )
    return findings


def find_teachers() -> list[Finding]:
    from .experiments import PROFILES
    from .inventory import hub_teachers, teacher_present
    from .teachers import SHIPPED, load_teacher

    findings = []
    for name in SHIPPED:
        try:
            teacher = load_teacher(name)
            findings.append(Finding(name, "ok", f"{teacher.description}, weights {teacher.revision}"))
        except Cross4DError as error:
            findings.append(
                Finding(
                    name,
                    "broken",
                    str(error),
                    "targets, so all pretraining",
                    "reading results; `cross4d train-teacher` makes another",
                )
            )
    for name in hub_teachers():
        users = ", ".join(
            f"profile {profile.name}"
            if profile.teacher == name
            else f"its row of Tables 2 and 18 in profile {profile.name}"
            for profile in PROFILES.values()
            if name in (profile.teacher, *profile.teachers)
        )
        if teacher_present(name):
            findings.append(Finding(name, "ok", "in the Hugging Face cache"))
        else:
            findings.append(
                Finding(
                    name,
                    "missing",
                    "not in the Hugging Face cache",
                    f"{users}, unless the network can be reached",
                    "every profile whose teacher ships with the library",
                )
            )
    return findings


EXAMINATIONS = (find_python, find_packages, find_kernel, find_devices, find_room, find_data, find_teachers)


def examine() -> int:
    """Print every finding. Returns 0, or 1 when something that the main job on embedded data needs is broken."""
    broken = []
    for find in EXAMINATIONS:
        try:
            findings = find()
        except ImportError as error:
            findings = [
                Finding(
                    find.__name__.removeprefix("find_"),
                    "broken",
                    f"cannot be examined: {error}",
                    "whatever imports it",
                    "`make setup` installs the packages",
                )
            ]
        for finding in findings:
            print(finding, flush=True)
        broken += [finding.topic for finding in findings if finding.state == "broken"]
    print(
        f"\nThe main job (`make`) cannot run as it should: {', '.join(broken)}."
        if broken
        else "\nNothing that the main job (`make`) needs is missing."
    )
    return 1 if broken else 0
