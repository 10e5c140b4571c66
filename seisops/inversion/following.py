"""What stands around a function that an optimiser evaluates: a journal, a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seisops.inversion.journal import Journal
from seisops.inversion.progress import Progress

__all__ = ["followed", "journal_of"]


def journal_of(journal: Any, problem: str) -> Journal | None:
    """A journal, or one at a path; or none.

    Parameters
    ----------
    journal : path or Journal or None
    problem : str
        What one at a path is for.
    """
    return journal if journal is None or isinstance(journal, Journal) else Journal(journal, problem=problem)


@contextmanager
def followed(
    function: Callable[..., Any], journal: Journal | None, progress: bool, total: int | None = None, stage: str = ""
) -> Iterator[Callable[..., Any]]:
    """A function whose evaluations are remembered, where there is a journal, and shown.

    Parameters
    ----------
    function : callable
    journal : Journal or None
    progress : bool
        Whether to show a bar.
    total : int, optional
        How many evaluations there will be.
    stage : str, optional
        What the function is one of, for the bar.
    """
    if journal is not None:
        yield journal(function, progress=progress, total=total, stage=stage)
        return
    if not progress:
        yield function
        return
    shown = Progress(function, total, stage)
    try:
        yield shown
    finally:
        shown.close()
