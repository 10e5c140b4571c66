"""How the forward wavefield meets the adjoint: which of its time levels are kept, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field

from seisops.errors import ParameterError
from seisops.wave._validate import integer

__all__ = ["Full", "Policy", "Subsampled", "policy"]


@dataclass(frozen=True)
class Policy:
    """Base of storage policies.

    Parameters
    ----------
    keep_bytes : int, optional
        Backgrounds of shots are kept from one product to the next up to this many bytes in all (2 GiB by default); those
        of further shots are computed anew in every product, at the cost of one more solve each.
    """

    keep_bytes: int = field(default=2**31, kw_only=True)

    #: Every how many time steps the background is kept.
    every = 1
    #: What the policy does to derivatives: "exact", "exact to rounding" or "approximate".
    exactness = "exact"

    def __post_init__(self):
        integer(f"{type(self).__name__} keep_bytes", self.keep_bytes, minimum=0)


@dataclass(frozen=True)
class Full(Policy):
    """Keep the background at every step of the solver: exact.

    Memory for a shot: cells of the padded grid x steps x 4 bytes (8 in float64), for each factor that the derivative
    needs: one for squared slowness, 1 + ndim more with density. Cost: a forward solve to fill it, none to use it.
    """


@dataclass(frozen=True)
class Subsampled(Policy):
    """Keep the background at every `every`-th step, and let the Born source act at those steps only, `every` times as
    strong.

    The Jacobian and its adjoint are an exact pair (they use the same interpolation in time), but only approximate the
    derivative: with 10 Hz waves stepped at 1 ms, data of a rough perturbation are off by 2e-3 (every second step), 7e-3
    (fourth) and 1e-1 (eighth). Memory: that of :class:`Full` divided by `every`.

    Parameters
    ----------
    every : int
        Steps from one kept level to the next.
    keep_bytes : int, optional
    """

    every: int = 4
    exactness = "approximate"

    def __post_init__(self):
        super().__post_init__()
        integer("Subsampled every", self.every, minimum=1)


def policy(storage) -> Policy:
    """The policy meant by an argument `storage`: a policy, or "auto"."""
    if isinstance(storage, Policy):
        return storage
    if storage == "auto":
        return Full()
    raise ParameterError(f"storage={storage!r}: use 'auto' or a policy such as seisops.storage.Full()")
