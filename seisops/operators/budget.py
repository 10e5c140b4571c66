"""The memory that a wavefield may take."""

from __future__ import annotations

from seisops.errors import UnfusedError
from seisops.spaces import Space

__all__ = ["require_affordable"]


def require_affordable(space: Space, what: str, fix: str) -> None:
    """Refuse to materialise a wavefield that is larger than its budget.

    Parameters
    ----------
    space : Space
        The space of the array about to be allocated. Only extended spaces are limited.
    what : str
        What was attempted, such as ``"applying Ps.H by itself"``.
    fix : str
        What to write instead.

    Raises
    ------
    UnfusedError
        If `space` is extended and ``space.nbytes`` exceeds ``space.max_bytes``.
    """
    if space.extended and space.nbytes > space.max_bytes:
        raise UnfusedError(
            f"{what} would materialise {space} of {_gib(space.nbytes)}; "
            f"the budget is {_gib(space.max_bytes)}. Instead, {fix}; or raise max_bytes of the wavefield"
        )


def _gib(nbytes: float) -> str:
    return f"{nbytes / 2**30:.3g} GiB"
