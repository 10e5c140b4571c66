"""What is heard at points in several ways and combined, by a matrix for each shot; its adjoint drives all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

import seisops._arrays as _arrays
from seisops.operators import LinearOperator, Product, VStack
from seisops.spaces import Traces, joint, split
from seisops.wave.sampling.points import Coordinates
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield

__all__ = ["Combination", "Combined"]


class Combination(LinearOperator):
    """Linear combinations of the traces of each shot, sample by sample: a matrix beside points.

    Parameters
    ----------
    parts : sequence of Traces
        What is combined, such as several components at the same points.
    range : Traces
        What is made of it.
    matrices : sequence of sparse matrix
        For each shot, of shape (traces made, traces of all parts).
    """

    symbol = "C"
    anywhere = True
    _derived = (*LinearOperator._derived, "_there")
    _there: dict | None = None  # matrices in the memory of devices

    def __init__(self, parts: Sequence[Traces], range: Traces, matrices: Sequence[sparse.csr_array]) -> None:
        self.parts = tuple(parts)
        # shots with the same matrix share it
        cast = {id(m): m.astype(range.dtype) for m in matrices}
        self.matrices = tuple(cast[id(m)] for m in matrices)
        super().__init__(joint(self.parts), range)

    def _fingerprint(self) -> Sequence[Any]:
        return [[m.indptr, m.indices, m.data] for m in self.matrices]

    def select(self, shots: Sequence[int]) -> Combination:
        """Return the same of the traces of some shots."""
        parts = [part.select(shots) for part in self.parts]
        return Combination(parts, self.range.select(shots), [self.matrices[i] for i in shots])

    def together(self, copies: int) -> Combination:
        """Return the same of the traces of all shots, one shot after another, as those of one shot, so many times.

        Parameters
        ----------
        copies : int
        """
        made = cast(Traces, self.range)
        columns, start = [], np.zeros(len(self.matrices), int)
        for part in self.parts:
            ends = start + part.counts
            each = [m[:, a:b] for m, a, b in zip(self.matrices, start, ends, strict=True)]
            columns.append(sparse.block_diag(each, format="csr"))
            start = ends
        spaces = [Traces([sum(t.counts)] * copies, t.time_axis, t.dtype, t.name) for t in (*self.parts, made)]
        return Combination(spaces[:-1], spaces[-1], [sparse.csr_array(sparse.hstack(columns))] * copies)

    def differing(self) -> int | None:
        """The first shot whose combinations are not those of shot 0, if there is one."""
        first = self.matrices[0]
        same = (m is first or (m.shape == first.shape and not (m != first).nnz) for m in self.matrices)
        return next((s for s, is_same in enumerate(same) if not is_same), None)

    def _matrix(self, shot: int, transposed: bool, beside: NDArray) -> Any:
        """The matrix of a shot, or its transpose, where an array is; there it is kept."""
        matrix, where = self.matrices[shot], _arrays.place(beside)
        if where == _arrays.HOST:
            return matrix.T if transposed else matrix
        self._there = {} if self._there is None else self._there
        key = id(matrix), transposed, where
        if key not in self._there:
            self._there[key] = _arrays.Rows(matrix.T if transposed else matrix, where)
        return self._there[key]

    def _apply(self, x: NDArray) -> NDArray:
        out, given = self.range.zeros(x), split(x, self.parts)
        for s in range(len(self.matrices)):
            traces = [part.shot(a, s) for part, a in zip(self.parts, given, strict=True)]
            self.range.shot(out, s)[...] = self._matrix(s, False, x) @ np.concatenate(traces)
        return out

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        out = self.domain.zeros(y)
        made = split(out, self.parts)
        for s in range(len(self.matrices)):
            traces = self._matrix(s, True, y) @ self.range.shot(y, s)
            ends = np.cumsum([part.counts[s] for part in self.parts])[:-1].tolist()
            for part, a, found in zip(self.parts, made, np.split(traces, ends), strict=True):
                part.shot(a, s)[...] = found
        return out


class Combined(Product):
    """Samplers of several components and what is combined of them: their product, of which a solve takes in the samplers.

    Parameters
    ----------
    parts : sequence of Projection
    range : Traces
    matrices : sequence of sparse matrix
        As of `Combination`.
    """

    _binding = 4
    _fingerprint = Product._fingerprint

    def __init__(self, parts: Sequence[Projection], range: Traces, matrices: Sequence[sparse.csr_array]) -> None:
        heard = parts[0] if len(parts) == 1 else VStack(parts)
        super().__init__([Combination([part.range for part in parts], range, matrices), heard])

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> Combined:
        # of some shots it is of the same class, and has all that it told: the positions of channels, say
        new = object.__new__(type(self))
        Product.__init__(new, children)
        for name, value in self.__getstate__().items():
            new.__dict__.setdefault(name, value)
        return new

    def _formula(self) -> str:
        return type(self).__name__

    def _weighted(
        self,
        waves: Wavefield,
        points: Coordinates,
        ways: Sequence[Mapping[str, Any]],
        values: Sequence[NDArray],
        weights: Callable[[NDArray], NDArray],
    ) -> None:
        """Begin as the sum, at each point, of some projections with weights.

        Parameters
        ----------
        waves : Wavefield
        points : Coordinates
        ways : sequence of mapping
            Arguments of the projections; those that weigh nothing anywhere are left out.
        values : sequence of ndarray
            For each shot, what is known at its points; the same object for shots that share it.
        weights : callable
            Of such an array, the weights of the projections: shape (ways, points).
        """
        found = {id(v): weights(v) for v in values}
        used = np.any([np.any(w, axis=1) for w in found.values()], axis=0)
        matrices = {
            key: sparse.hstack([sparse.diags_array(row) for row in w[used]], format="csr") for key, w in found.items()
        }
        parts = [Projection(waves, points, **way) for way, kept in zip(ways, used, strict=True) if kept]
        Combined.__init__(self, parts, waves.traces(points.counts), [matrices[id(v)] for v in values])
