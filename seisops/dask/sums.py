"""Sums over shots, each shot of which is worked off by a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distributed import Client
from numpy.typing import NDArray

from seisops.dask.cluster import Cluster, Options
from seisops.dask.errors import Failure
from seisops.dask.steps import Total

__all__ = ["DistributedSum"]


class DistributedSum:
    """What is a sum over shots, as the value and the gradient of a misfit, with its shots worked off by a cluster.

    Attributes
    ----------
    of : object
        Called with arrays of the spaces of `inputs`, a tuple, it returns a list of arrays of those of `outputs`; has
        `shots`, ``select(shots)``, `held_bytes` and ``forget()``.
    skipped : list of Failure
        Shots that failed in the last evaluation, with ``on_error="skip"``.
    """

    def __init__(self, of: Any, options: Options, client: Client | None) -> None:
        self.of, self.options, self._cluster = of, options, Cluster(of, options, client)

    @property
    def skipped(self) -> list[Failure]:
        """Shots that failed in the last evaluation."""
        return self._cluster.skipped

    def select(self, shots: Sequence[int]) -> DistributedSum:
        """Return the sum over some of the shots, distributed too."""
        return DistributedSum(self.of.select(shots), self.options, self._cluster.known_client)

    def forget(self) -> None:
        """Release what the workers hold."""
        self._cluster.drop(self._cluster.token)

    def __call__(self, *x: NDArray) -> list[NDArray]:
        """Return the sums over all shots."""
        held = [self._cluster.hold(space, part) for space, part in zip(self.of.inputs, x, strict=True)]
        return self._cluster.run(Total("value and gradient", self.of.inputs, self.of.outputs), held)
