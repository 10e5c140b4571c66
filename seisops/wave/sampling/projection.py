"""Restriction of wavefields to points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisops.engine.symbols.places import Place
from seisops.errors import ParameterError
from seisops.operators import Sampler
from seisops.wave.discretise.discretisation import Discretisation
from seisops.wave.grid import NODE_TOLERANCE
from seisops.wave.sampling.coupling import Coupling, total
from seisops.wave.sampling.points import Coordinates, on_nodes, weights
from seisops.wave.sampling.taps import KnownTaps, Taps
from seisops.wave.sampling.ways import TracesWay
from seisops.wave.sampling.where import Where
from seisops.wave.space import Wavefield

__all__ = ["Projection"]


class Projection(Coupling, Sampler):
    """Restriction of a wavefield to points; its adjoint places sources there.

    Maps u(shot, t, x, [y,] z) to traces (shot, point, time), ``d[s, p, t] = sum_x c_p(x) u[s, t, x]`` with the weights c
    of a Kaiser-windowed sinc (Hicks 2002, doi:10.1190/1.1451454) or of linear interpolation. Where shots have different
    numbers of points, the range is flat, (trace, time).

    Parameters
    ----------
    waves : Wavefield
    coordinates : array_like or list of array_like
        Metres: ``(points, ndim)`` for all shots, ``(shots, points, ndim)``, or a list with one array for each shot.
    interpolation : {"sinc", "linear"}, optional
    margin : float, optional
        Metres by which points may lie outside the model, inside its absorbing layer. By default they may not.
        Above a free or rigid surface there is no layer: solves with one refuse such points.
    component : str, optional
        What of the medium's waves is heard at the points, as the medium names it: ``"p"``, ``"vz"``, ``"sxz"``. The
        adjoint drives the same. By default the first, which is pressure in all media of this package.
    derivative : str, optional
        An axis, such as ``"z"``, along which the derivative of the field is heard, per metre, by 10 nodes along it. Within
        7.4e-4 of it at 4 points for a wavelength, 2e-4 at 5 or more.

    Raises
    ------
    ParameterError
        If points lie outside the model, are not finite, or do not match the number of shots, if the margin is negative or
        no number, or if there is no such axis.
    """

    points: Coordinates

    def __init__(
        self,
        waves: Wavefield,
        coordinates,
        interpolation: str = "sinc",
        margin: float = 0.0,
        component: str | None = None,
        derivative: str | None = None,
    ):
        Wavefield.required("Projection", waves)
        if interpolation not in ("sinc", "linear"):
            raise ParameterError(f"Projection(interpolation={interpolation!r}): use 'sinc' or 'linear'")
        if derivative not in (None, *waves.grid.axes):
            raise ParameterError(f"Projection(derivative={derivative!r}): the grid has the axes {waves.grid.axes}")
        if not isinstance(coordinates, Coordinates):
            coordinates = Coordinates(coordinates, waves.grid, waves.shots, margin)
        self.points, self.interpolation = coordinates, interpolation
        self.component, self.derivative = component, derivative
        self._known = KnownTaps()
        super().__init__(waves, waves.traces(coordinates.counts))

    symbol = "P"

    def _fingerprint(self) -> list:
        named = [] if self.component is None else [self.component]
        named += [] if self.derivative is None else [f"d/d{self.derivative}"]
        return [self.interpolation, *named, *(self.points.shot(s) for s in range(len(self.points)))]

    def select(self, shots: Sequence[int]) -> Projection:
        return self.elsewhere(self.domain.select(shots), self.points.select(shots))

    def elsewhere(self, waves: Wavefield, points: Coordinates) -> Projection:
        """The same at other points, whose place has been checked."""
        return Projection(waves, points, self.interpolation, component=self.component, derivative=self.derivative)

    def taps(self, shot: int, origin_index, padded_shape, place: Place | None = None, entering: bool = False) -> Taps:
        """Cells and weights of one shot's points in a padded grid, for samples in some place; see :func:`weights`."""
        where = tuple(origin_index), tuple(padded_shape)
        entering = entering and place is not None and place.weighted  # else there is no difference
        key = self._points_of(shot), *where, place and (place.cell, place.parity, place.closed, place.held), entering
        return self._known.get(key, lambda: self._made(shot, (*where, place, entering)))

    def _points_of(self, shot: int):
        """What tells the points of a shot from others."""
        # shots with the same points share one array of them, which lives as long as this
        return id(self.points.shot(shot))

    def _axis(self) -> int | None:
        """The axis along which the derivative is taken."""
        return None if self.derivative is None else self.domain.grid.axes.index(self.derivative)

    def _made(self, shot: int, there: tuple) -> Taps:
        """The taps of a shot in a padded grid, for samples in a place there."""
        coordinates, grid = self.points.shot(shot), self.domain.grid
        origin_index, padded_shape, place, entering = there
        kind = "node" if on_nodes(coordinates, grid, place) else self.interpolation
        where = origin_index, padded_shape, kind, place, entering, self._axis()
        return Taps.of(*weights(coordinates, grid, *where), self.domain.dtype)

    def _alone(self, shot: int) -> Taps:
        return self.taps(shot, (0,) * self.domain.grid.ndim, self.domain.grid.shape)

    def _apply(self, x):
        out = self.range.zeros()
        for s in range(self.domain.shots):
            taps = self._alone(s)
            values = x[s][(slice(None), *taps.cells)]
            self.range.shot(out, s)[...] = np.einsum("tpk,pk->pt", values, taps.weights)
        return out

    def _apply_adjoint(self, y):
        out = self.domain.zeros()
        for s in range(self.domain.shots):
            taps = self._alone(s)
            product = np.einsum("pt,pk->tpk", self.range.shot(y, s), taps.weights)
            np.add.at(out[s], (slice(None), *taps.cells), product)
        return out

    # -- in a solve

    def require_fit(self, discretisation: Discretisation) -> None:
        if discretisation.surface:
            self.points.require_below(self.domain.grid.origin[-1], discretisation.faces.surface)

    def entering(self, shot, x, where):
        traces = where.here(self.range.shot(x, shot))
        return [TracesWay(n, self.met(shot, where, place), where.to_solver(traces, place)) for n, place in where.places]

    def leaving(self, shot, where):
        return [TracesWay(n, self.met(shot, where, place)) for n, place in where.places]

    def found(self, results, where):
        found = zip(results, where.places, strict=True)
        return total(where.to_data(traces, place) for traces, (_, place) in found)

    def deliver(self, values, shot, out):
        self.range.shot(out, shot)[...] = values

    def met(self, shot: int, where: Where, place: Place) -> Taps:
        """How the points of a shot meet a component on one side of a solve."""
        padding = where.padding
        return self.taps(shot, padding.origin_index, padding.shape, place, where.entering)

    def signals(self, x):
        return x

    def silent(self, shot, where):
        points, grid = self.points.shot(shot), self.domain.grid
        if not len(points) or np.any(points[:, -1] > grid.origin[-1] + NODE_TOLERANCE * grid.spacing[-1]):
            return 0
        for n, place in where.places:
            taps = self.met(shot, where, place)
            counts = taps.weights != 0
            if where.components[n].silent:
                counts &= taps.cells[-1] != 0  # those in the nodes of the surface
            if counts.any():
                return 0
        return len(points)
