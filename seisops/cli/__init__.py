"""The command ``seisops``, one file for each of its commands."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

import seisops
from seisops.cli import completion, demo, doctor, fwi, image, plan, segy
from seisops.errors import SeisopsError

__all__ = ["main", "parser"]

#: In the order in which help lists them.
COMMANDS = (image, fwi, demo, segy, plan, doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    # Threads that spin for long while they wait for one another slow a busy machine down many times; threads that sleep
    # at once are three times slower on an idle one. OpenMP reads this once, when the first compiled solve is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    options = parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _told
            return options.command(options)
    except (SeisopsError, ImportError, OSError) as error:
        print(f"seisops: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("seisops: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    root = argparse.ArgumentParser(prog="seisops", description="Seismic modeling and inversion written as mathematics.")
    root.add_argument("--version", action="version", version=f"seisops {seisops.__version__}")
    commands = root.add_subparsers(title="commands", required=True)
    for command in COMMANDS:
        command.add(commands)
    completion.add(commands, root)
    return root


def _told(message: Warning | str, *where: object) -> None:
    print(f"seisops: warning: {message}", file=sys.stderr)
