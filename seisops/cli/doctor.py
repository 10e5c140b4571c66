"""``seisops doctor``: what a machine has, and whether it works."""

from __future__ import annotations

import argparse

from seisops.doctor import examined

__all__ = ["add"]


def add(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="what this machine has, and whether it works",
        description="Prints versions, the compiler, threads and the folder of what is compiled, and tests a small wave "
        "equation; the exit status is 1 if something is wrong.",
    )
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    well = True
    for finding in examined():
        print(finding, flush=True)
        well &= finding.well
    return 0 if well else 1
