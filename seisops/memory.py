"""What this process holds that it could compute again, or use again: how much, and how it is released.

Maps and Jacobians hold background wavefields, each up to the ``keep_bytes`` of its storage policy, and have memory spare for
the next ones (:mod:`seisops.storage`); ``held_bytes``, ``spare_bytes`` and ``forget()`` are there on each of them, and on
misfits. Here, they are all taken together, with what no single one of them has: the memory of marches, and compiled wave
equations. What is spare serves all who need arrays of that shape, and beyond 128 MiB there is never more of it than one of
them has used at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from seisops.engine.state import STATES
from seisops.wave._validate import integer
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.storage.pool import BACKGROUNDS

__all__ = ["Held", "forget", "held", "limit"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Held:
    """What a process holds; print it.

    Attributes
    ----------
    backgrounds : int
        Bytes of background wavefields that Jacobians and open linearisations hold.
    spare : int
        Bytes that wait for the next background wavefields.
    states : int
        Bytes that wait for the time levels of the next marches.
    kernels : int
        Compiled loops over time.
    """

    backgrounds: int
    spare: int
    states: int
    kernels: int

    @property
    def nbytes(self) -> int:
        """All bytes."""
        return self.backgrounds + self.spare + self.states

    def __str__(self) -> str:
        sizes = (f"{name} {n / 2**20:.4g} MiB" for name, n in (
            ("backgrounds", self.backgrounds), ("spare", self.spare), ("states", self.states)))  # fmt: skip
        return ", ".join((*sizes, f"{self.kernels} kernels"))


def held() -> Held:
    """Return what this process holds."""
    backgrounds = sum(pool.held_bytes for pool in BACKGROUNDS)
    return Held(backgrounds, BACKGROUNDS.spare_bytes, STATES.spare_bytes, len(SCHEMES.kernels))


def forget() -> None:
    """Release all of it, of all maps, Jacobians and misfits; what is needed again is computed and compiled again.

    Open linearisations and results that torch can differentiate stay valid: their wavefields are computed again. Compiled
    code is found on disk, if it is kept there.
    """
    for pool in BACKGROUNDS:
        pool.forget()
    STATES.clear()
    SCHEMES.forget()


def limit(nbytes: int | None) -> int | None:
    """State how much memory this process may take in all, if that is less than the machine has.

    Background wavefields then take no more than what is left of it.

    Parameters
    ----------
    nbytes : int or None
        Bytes; None for all that the machine has.

    Returns
    -------
    int or None
        What was stated before.
    """
    before = BACKGROUNDS.limit_bytes
    BACKGROUNDS.limit_bytes = None if nbytes is None else integer("memory limit", nbytes, minimum=1)
    return before
