"""Where samplers meet a wavefield: its components, the padded grid and the solver's time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from numpy.typing import NDArray

import seisops._arrays as _arrays
from seisops.engine import backend
from seisops.engine.symbols.places import Component, Place
from seisops.wave.discretise.discretisation import Discretisation
from seisops.wave.discretise.padding import Padding
from seisops.wave.sampling.lattice import from_nodes, to_nodes

__all__ = ["Where"]


@dataclass(frozen=True)
class Where:
    """One side of a solve, for the samplers of one of its wavefields, or of one component of that.

    Attributes
    ----------
    discretisation : Discretisation
    components : sequence of Component
        What is read, or driven.
    transposed : bool
        Whether the transposed equation is solved.
    entering : bool
        Whether it is the side on which something enters.
    channel : int
        Which of the wavefields that are solved for together.
    names : tuple of str
        What the components of a medium are called.
    """

    discretisation: Discretisation
    components: Sequence[Component]
    transposed: bool
    entering: bool
    channel: int = 0
    names: tuple[str, ...] = ()

    def component(self, name: str | None) -> Where:
        """The same for one component of the medium; None is the first."""
        return self if name is None else self.of(self.channel + self.names.index(name))

    def of(self, channel: int) -> Where:
        """The same for another wavefield."""
        return replace(self, channel=channel)

    @property
    def padding(self) -> Padding:
        return self.discretisation.padding

    @property
    def places(self) -> list[tuple[int, Place]]:
        """Numbers and places of the components of the wavefield."""
        return [(n, c.place) for n, c in enumerate(self.components) if c.channel == self.channel]

    def here(self, x: NDArray) -> NDArray:
        """An array where the wavefield is."""
        device = backend.device(self.discretisation.device)
        return x if device is backend.CPU else device.to_device(x, x.dtype)

    # -- between the time axis of the data and that of the solver; the cell volume belongs to the side of the source

    @property
    def _of_source(self) -> bool:
        return self.entering != self.transposed

    def to_solver(self, x: NDArray, place: Place, axis: int = -1) -> NDArray:
        """Samples of the data for a component in some place, on the solver's time axis (N + 1 samples)."""
        d = self.discretisation
        resampling, x = d.resampling(place.time), _arrays.contiguous(x)
        if self._of_source:
            return resampling.up(x, axis) / x.dtype.type(d.grid.cell_volume)
        return resampling.down_adjoint(x, axis)

    def to_data(self, x: NDArray, place: Place, axis: int = -1) -> NDArray:
        """Transpose of :meth:`to_solver`."""
        d = self.discretisation
        resampling, x = d.resampling(place.time), _arrays.contiguous(x)
        if self._of_source:
            return resampling.up_adjoint(x, axis) / x.dtype.type(d.grid.cell_volume)
        return resampling.down(x, axis)

    # -- between the nodes of the grid and the place of a component on the padded grid

    def embed(self, x: NDArray, place: Place) -> NDArray:
        """What is given in the nodes of the grid, for a component in some place; its last axes are those of the grid."""
        out = _arrays.zeros((*x.shape[: x.ndim - len(self.padding.shape)], *self.padding.shape), x.dtype, x)
        out[(..., *self.padding.interior)] = x
        return from_nodes(out, place)

    def crop(self, x: NDArray, place: Place) -> NDArray:
        """Transpose of :meth:`embed`."""
        return to_nodes(x, place)[(..., *self.padding.interior)]
