"""What goes wrong: with shots, and with clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seisops.errors import SeisopsError

__all__ = ["ClusterError", "Failure", "ShotError"]


@dataclass(frozen=True)
class Failure:
    """A shot that could not be worked off.

    Attributes
    ----------
    shot : int
        Its index in the operator that was distributed.
    worker : str
        Address of the worker.
    error : str
        Kind and message of the error.
    traceback : str
        Where it happened.
    """

    shot: int
    worker: str
    error: str
    traceback: str


class ShotError(SeisopsError, RuntimeError):
    """Shots failed while all others were worked off.

    Attributes
    ----------
    failures : tuple of Failure
    """

    def __init__(self, failures: Sequence[Failure]):
        self.failures = tuple(failures)
        first = self.failures[0]
        others = f" (and {len(self.failures) - 1} more: {[f.shot for f in self.failures[1:]]})" if failures[1:] else ""
        super().__init__(
            f"shot {first.shot} failed on {first.worker}{others}: {first.error}. The other shots are done; leave out "
            f"the failed ones with on_error='skip'\n{first.traceback}"
        )

    def __reduce__(self):
        return ShotError, (self.failures,)


class ClusterError(SeisopsError, RuntimeError):
    """A cluster cannot be worked with: it has no workers, or was closed, or restarted."""
