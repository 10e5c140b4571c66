"""Linear operators whose shots are worked off by a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distributed import Client
from numpy.typing import ArrayLike, NDArray

from seisops.dask.cluster import Cluster, Options
from seisops.dask.errors import Failure
from seisops.dask.maps import DistributedMap
from seisops.dask.steps import Apply, Illuminate, Save
from seisops.dask.sums import DistributedSum
from seisops.elsewhere import Elsewhere, OnDemand
from seisops.errors import ParameterError, SpaceError
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.spaces import Space

__all__ = ["DistributedOperator"]


class DistributedOperator(Elsewhere):
    """A linear operator whose shots are worked off by a cluster.

    Attributes
    ----------
    op : LinearOperator
        The operator.
    skipped : list of Failure
        Shots that failed in the last application, with ``on_error="skip"``.
    """

    symbol = "distributed"
    parametric = True

    def __init__(self, op: LinearOperator, options: Options, client: Client | None) -> None:
        self.op, self.options, self._cluster = op, options, Cluster(op, options, client)
        self._reversed = False
        super().__init__(op.domain, op.range)

    def _make_adjoint(self) -> DistributedOperator:
        adjoint = object.__new__(DistributedOperator)
        # the same cluster: workers keep one operator for both directions
        adjoint.op, adjoint.options, adjoint._cluster = self.op, self.options, self._cluster
        adjoint._reversed = not self._reversed
        LinearOperator.__init__(adjoint, self.range, self.domain)
        return adjoint

    @property
    def stands_for(self) -> LinearOperator:
        """The same operator in one process."""
        return self.op.H if self._reversed else self.op

    @property
    def shots(self) -> int | None:
        """The number of shots."""
        return self.op.shots

    @property
    def skipped(self) -> list[Failure]:
        """Shots that failed in the last application."""
        return self._cluster.skipped

    def select(self, shots: Sequence[int]) -> DistributedOperator:
        """Return some of the shots, distributed too."""
        part = DistributedOperator(self.op.select(shots), self.options, self._cluster.known_client)
        return part.H if self._reversed else part

    def at(self, **parameters: ArrayLike) -> DistributedOperator:
        """Return the operator with other parameters of the medium, distributed too."""
        moved = DistributedOperator(self.op.at(**parameters), self.options, self._cluster.known_client)
        return moved.H if self._reversed else moved

    def spread(self, other: Any) -> Any:
        """Distribute another operator, map or sum over shots over the same cluster, in the same way."""
        linear = DistributedOperator if isinstance(other, LinearOperator) else DistributedSum
        return (DistributedMap if isinstance(other, Map) else linear)(other, self.options, self._cluster.known_client)

    def jacobian(self, *args, **options) -> DistributedOperator:
        """Return the Jacobian of a survey's modeling, distributed too; see ``Survey.modeling``."""
        return self.spread(self.stands_for.jacobian(*args, **options))

    def as_map(self, *args, **options) -> DistributedMap:
        """Return the map of a survey's modeling, distributed too; see ``Survey.modeling``."""
        return self.spread(self.stands_for.as_map(*args, **options))

    @property
    def wrt(self) -> tuple[str, ...]:
        """Perturbed parameters, of a Jacobian."""
        if not hasattr(self.op, "wrt"):
            raise AttributeError(f"<{self}> is no Jacobian: it has no wrt")
        return self.op.wrt

    def illumination(self) -> NDArray:
        """Return how much the source illuminates each cell, of a Jacobian; see :meth:`seisops.Jacobian.illumination`."""
        if self._reversed or not hasattr(self.op, "illumination"):
            raise ParameterError(
                f"illumination is that of a Jacobian, and <{self}> is none: take so.Jacobian(D, q) of modeling D that is "
                "distributed"
            )
        return self._cluster.run(Illuminate("illumination", (), (self.op.domain,)), [])[0]

    def forget(self) -> None:
        """Release what the workers hold."""
        self._cluster.drop(self._cluster.token)

    def _apply(self, x: NDArray | OnDemand) -> NDArray:
        step = Apply("adjoint" if self._reversed else "apply", (self.domain,), (self.range,), self._reversed)
        return self._cluster.run(step, [self._cluster.hold(self.domain, x)])[0]

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self.H._apply(y)

    def _times(self, x: Any) -> Any:
        # the data of a survey are read by the workers, each shot where it is worked off
        return self._apply(_fitting(x, self.domain, self)) if isinstance(x, OnDemand) else super()._times(x)

    def save(self, x: ArrayLike | OnDemand, survey: OnDemand, folder: str | os.PathLike) -> OnDemand:
        """Apply the operator, and let the workers write what comes out: it never passes through this process.

        Parameters
        ----------
        x : array_like or Survey
            What to apply it to.
        survey : Survey
            The geometry of the traces that come out, without data.
        folder : path-like
            Each task writes a Zarr store into it, which appears when it is complete. Stores of the same name are replaced.

        Returns
        -------
        Survey
            The traces, read from the stores when they are asked for.
        """
        x = _fitting(x, self.domain, self) if isinstance(x, OnDemand) else self.domain.asarray(x)
        _fitting(survey, self.range, self)
        cluster, folder = self._cluster, Path(folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        step = Save("save", (self.domain, self.range), (), self._reversed, str(folder))
        geometry = [survey[list(batch)] for batch in cluster.batches]
        cluster.run(step, [cluster.hold(self.domain, x), geometry])
        failed = {failure.shot for failure in self.skipped}
        stores = [survey.from_zarr(step.path(batch)) for batch in cluster.batches if not failed & set(batch)]
        return type(survey)([shot for store in stores for shot in store])


def _fitting(survey: OnDemand, space: Space, op: LinearOperator) -> OnDemand:
    if survey.space.shape != space.shape:
        raise SpaceError(f"the survey's data are {survey.space!r}; {op} has {space!r} there")
    return survey
