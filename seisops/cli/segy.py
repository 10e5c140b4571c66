"""``seisops segy``: looks into SEG-Y files."""

from __future__ import annotations

import argparse
from pathlib import Path

from seisops.cli.inputs import for_commands
from seisops.survey import check, info

__all__ = ["add"]


def add(commands) -> None:
    """Add the commands."""
    segy = commands.add_parser("segy", help="look into SEG-Y files").add_subparsers(title="commands", required=True)
    info_ = segy.add_parser(
        "info",
        help="what is in them: shots, geometry, time axes, formats",
        description="Prints what is in SEG-Y files, from their headers.",
    )
    info_.set_defaults(command=_info)
    check_ = segy.add_parser(
        "check",
        help="what is odd about them",
        description="Prints what is odd about SEG-Y files; the exit status is 1 if they cannot be read as they are.",
    )
    check_.add_argument("--samples", action="store_true", help="read all samples too")
    check_.set_defaults(command=_check)
    for command in (info_, check_):
        command.add_argument("files", nargs="+", type=Path, metavar="FILE")


def _info(options: argparse.Namespace) -> int:
    print(info(options.files))
    return 0


def _check(options: argparse.Namespace) -> int:
    findings = check(options.files, samples=options.samples)
    for finding in findings:
        print(for_commands(finding))
    if not findings:
        print("nothing odd")
    return int(any(finding.level == "error" for finding in findings))
