"""The command line, ``cross4d``. Each command imports what it needs when it is called, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import __version__
from .errors import Cross4DError

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

    return min(1, run_queue(arguments.profile, arguments.only, arguments.jobs))


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


def train_teacher(arguments) -> int:
    from dataclasses import replace

    from .teachers.recipe import TeacherRecipe
    from .teachers.tiny import make_tiny

    chosen = {name: value for name in ("steps", "seed") if (value := getattr(arguments, name)) is not None}
    make_tiny(arguments.out, replace(TeacherRecipe(), **chosen), minutes=arguments.minutes)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``handler`` in its result is the function above that does the work."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    sized = argparse.ArgumentParser(add_help=False)
    sized.add_argument("--profile", default="quick", metavar="NAME", help=PROFILE_HELP)
    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("--jobs", type=positive, default=1, metavar="N", help="how many at once; they share the cores")

    parser = argparse.ArgumentParser(prog="cross4d", description="Cross4D-JEPA, step by step: notebooks, experiments and tables.")
    parser.add_argument("--version", action="version", version=f"cross4d {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, handler, text: str, parents=()):
        added = commands.add_parser(name, help=text, description=text, parents=[*parents, common])
        added.set_defaults(handler=handler)
        return added

    added = command("reproduce", reproduce, "run every notebook; write pages (build/html), tables and figures", [sized, chosen])
    added.add_argument("--only", nargs="+", metavar="NAME", help="notebooks (06_linear_probe, or 06), tables (table01), figures (figure02)")
    added.add_argument("--resume", action="store_true", help="skip notebooks that were run as they are now, with this library and these result rows")
    command("list", show_list, "tables, figures, datasets and teachers, and what is present")
    command("doctor", doctor, "examine the environment, data and devices; say what each missing thing blocks")
    command("report", report, "write the tables of a profile from its result rows", [sized])
    added = command("run", run, "run the experiments that a profile still lacks", [sized, chosen])
    added.add_argument("--only", nargs="+", metavar="NAME", help="tables and figures (table01, figure02)")
    added = command("train-teacher", train_teacher, "train a teacher like cross4d-tiny, from scratch and without labels")
    added.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to save it")
    added.add_argument("--minutes", type=minutes, metavar="M", help="train so long at most (default: all steps)")
    added.add_argument("--steps", type=positive, metavar="N", help="optimiser steps (default: the recipe's)")
    added.add_argument("--seed", type=int, metavar="S", help="of weights and batches (default: the recipe's)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns the exit status: 2 for an error of ours (one line on stderr), 130 when interrupted."""
    arguments = make_parser().parse_args(argv)
    try:
        return arguments.handler(arguments)
    except Cross4DError as error:
        if arguments.debug:
            raise
        print("cross4d:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cross4d: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
