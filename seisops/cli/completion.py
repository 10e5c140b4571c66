"""``seisops completion``: a script by which a shell completes the command's words."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from seisops._extras import missing
from seisops.demo.gallery import pages

__all__ = ["SHELLS", "add"]

SHELLS = ("bash", "zsh", "fish")

#: What stands for a path in the help of a command.
PATHS = ("FILE", "SURVEY", "CONFIG")

EXAMPLES = """\
examples:
  seisops completion bash > ~/.local/share/bash-completion/completions/seisops
  seisops completion zsh > ~/.zfunc/_seisops                      a folder of fpath
  seisops completion fish > ~/.config/fish/completions/seisops.fish
"""


def add(commands, root: argparse.ArgumentParser) -> None:
    """Add the command, which completes a parser."""
    parser = commands.add_parser(
        "completion",
        help="completion of commands and options in a shell",
        description="Prints a script for bash, zsh or fish, of all commands and options that there are.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(command=partial(_run, root))


def _run(root: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError as error:
        raise missing("completion needs", "shtab", "completion") from error
    for action in _actions(root):
        if action.metavar in PATHS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == "FOLDER":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar == "PAGE":
            action.choices = [page.name for page in pages()]
    print(shtab.complete(root, options.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
