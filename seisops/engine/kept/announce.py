"""Says that something is made that later runs will find: a line in the log, and a bar where somebody looks on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from seisops.engine.kept.disk import opened

__all__ = ["announced"]

logger = logging.getLogger("seisops")

#: Without the time that is left, which nobody knows.
BAR = "{desc} {bar} {n_fmt}/{total_fmt} [{elapsed}]"


@contextmanager
def announced(what: str, parts: int) -> Iterator[Callable[[], object]]:
    """Announce that something is made; yields what to call after each of its parts.

    Parameters
    ----------
    what : str
        Such as ``"compiling 12 pieces of a wave equation"``.
    parts : int
    """
    if logger.isEnabledFor(logging.INFO):
        with opened() as folder:
            logger.info("%s, %s", what, f"kept for later in {folder.path}" if folder else "for this process only")
    if not _watched():
        yield lambda: None
        return
    from tqdm.auto import tqdm  # imports asyncio, or what notebooks need

    with tqdm(total=parts, desc=what, bar_format=BAR, leave=False, dynamic_ncols=True) as bar:
        yield bar.update


def _watched() -> bool:
    """Whether standard errors appear in a terminal or a notebook."""
    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell else None
    return sys.stderr.isatty() or getattr(shell, "kernel", None) is not None
