"""A dense toy world: wavefields small enough to write every operator as a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seisops.operators import Everything, LinearOperator, Propagator, Sampler
from seisops.spaces import Axis, Space, Traces

SHOTS, POINTS, TIMES, CELLS = 3, 2, 4, 5
TIME = Axis("time", TIMES, 0.004, 0.0)


class Waves(Space):
    """Wavefields (shot, time, x)."""

    extended = True

    def __init__(self, shots: int = SHOTS, dtype: str = "float64", max_bytes: float = float("inf")) -> None:
        self.max_bytes = max_bytes
        super().__init__("waves", [Axis("shot", shots), TIME, Axis("x", CELLS, 10.0, 0.0)], dtype)

    def select(self, shots: Sequence[int]) -> Waves:
        return Waves(len(shots), self.dtype.name, self.max_bytes)

    def traces(self, counts: Sequence[int]) -> Traces:
        return Traces(counts, TIME, self.dtype)

    def images(self) -> Space:
        return Space("images", [Axis("shot", self.shots), Axis("x", CELLS, 10.0, 0.0)], self.dtype)


class Points(Sampler):
    """Weighted points: a matrix (points, cells) for each shot."""

    def __init__(self, waves: Waves, weights: Sequence[NDArray], symbol: str = "P") -> None:
        self.weights = tuple(weights)
        self.symbol = symbol
        super().__init__(waves, waves.traces([len(w) for w in weights]))

    @classmethod
    def random(cls, waves: Waves, seed: int, symbol: str, counts: Sequence[int] | None = None) -> Points:
        rng = np.random.default_rng(seed)
        counts = counts or [POINTS] * waves.shots
        return cls(waves, [rng.standard_normal((n, CELLS)).astype(waves.dtype) for n in counts], symbol)

    def _apply(self, x: NDArray) -> NDArray:
        out = self.range.zeros()
        for s, w in enumerate(self.weights):
            self.range.shot(out, s)[...] = w @ x[s].T
        return out

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        shots = range(self.domain.shots)
        return np.stack([self.range.shot(y, s).T @ self.weights[s] for s in shots])

    def select(self, shots: Sequence[int]) -> Points:
        return Points(self.domain.select(shots), [self.weights[i] for i in shots], self.symbol)


class Stack(Sampler):
    """Signature-weighted stack over time: one image for each shot."""

    symbol = "Pw"

    def __init__(self, waves: Waves, signature: NDArray) -> None:
        self.signature = signature.astype(waves.dtype)
        super().__init__(waves, waves.images())

    def _apply(self, x: NDArray) -> NDArray:
        return np.einsum("t,stx->sx", self.signature, x)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return np.einsum("t,sx->stx", self.signature, y)

    def select(self, shots: Sequence[int]) -> Stack:
        return Stack(self.domain.select(shots), self.signature)


class Dense(Propagator):
    """A causal matrix for every shot, scaled by the parameter m; logs its solves in a shared list."""

    def __init__(
        self, waves: Waves, seed: int = 0, symbol: str = "Ainv", m: float = 1.0, log: list[str] | None = None
    ) -> None:
        rng = np.random.default_rng(seed)
        n = TIMES * CELLS
        self.matrix = (m * np.tril(rng.standard_normal((n, n)))).astype(waves.dtype)
        self.seed = seed
        self.m = m
        self.symbol = symbol
        self.log: list[str] = [] if log is None else log
        super().__init__(waves, waves)

    def solve(self, readers: tuple[Sampler, ...], writers: tuple[Sampler, ...], adjoint: bool) -> LinearOperator:
        return DenseSolve(self, readers, writers, adjoint)

    def at(self, **parameters: float) -> Dense:
        return Dense(self.domain, self.seed, self.symbol, parameters["m"], self.log)

    def select(self, shots: Sequence[int]) -> Dense:
        return Dense(self.domain.select(shots), self.seed, self.symbol, self.m, self.log)

    def propagate(self, u: NDArray, adjoint: bool) -> NDArray:
        self.log.append(self.symbol + (".H" if adjoint else ""))
        matrix = self.matrix.T if adjoint else self.matrix
        return (u.reshape(u.shape[0], -1) @ matrix.T).reshape(u.shape)


class DenseSolve(LinearOperator):
    """What `Dense.solve` returns: one propagation between writing and reading."""

    def __init__(
        self, propagator: Dense, readers: tuple[Sampler, ...], writers: tuple[Sampler, ...], adjoint: bool
    ) -> None:
        self.propagator = propagator
        self.readers = readers
        self.writers = writers
        self.backwards = adjoint
        super().__init__(_joint(writers), _joint(readers))

    def _apply(self, x: NDArray) -> NDArray:
        return _pass(self.propagator, self.readers, self.writers, self.backwards, x)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return _pass(self.propagator, self.writers, self.readers, not self.backwards, y)


def _joint(samplers: tuple[Sampler, ...]) -> Space:
    from seisops.spaces import DirectSum

    return samplers[0].range if len(samplers) == 1 else DirectSum([s.range for s in samplers])


def _pass(
    propagator: Dense, readers: tuple[Sampler, ...], writers: tuple[Sampler, ...], adjoint: bool, x: NDArray
) -> NDArray:
    space = _joint(writers)
    pieces = space.split(x) if len(writers) > 1 else [x]
    u = sum(writer._apply_adjoint(piece) for writer, piece in zip(writers, pieces, strict=True))
    u = propagator.propagate(u, adjoint)
    read = [np.ravel(reader._apply(u)) for reader in readers]
    return np.concatenate(read).reshape(_joint(readers).shape)


class World:
    """Operators on one space of wavefields, and the log of their solves."""

    def __init__(self, dtype: str = "float64", max_bytes: float = float("inf")) -> None:
        self.waves = Waves(dtype=dtype, max_bytes=max_bytes)
        self.log: list[str] = []
        self.Pr = Points.random(self.waves, 1, "Pr")
        self.Pr2 = Points.random(self.waves, 2, "Pr2", [1, 2, 3])
        self.Ps = Points.random(self.waves, 3, "Ps", [1, 1, 1])
        self.Ps2 = Points.random(self.waves, 4, "Ps2", [1, 1, 1])
        self.Pw = Stack(self.waves, np.random.default_rng(5).standard_normal(TIMES))
        self.A = Dense(self.waves, 6, "A", log=self.log)
        self.B = Dense(self.waves, 7, "B", log=self.log)
        self.everything = Everything(self.waves)


def dense(op: LinearOperator) -> NDArray:
    """The matrix of a leaf, or of an expression by the rules of matrices alone: nothing is fused."""
    from seisops import operators as so

    match op:
        case so.Adjoint():
            return dense(op.op).T
        case so.Product():
            return np.linalg.multi_dot([dense(f) for f in op.children])
        case so.Sum():
            return sum(dense(term) for term in op.children)
        case so.Scaled():
            return op.scalar * dense(op.op)
        case so.VStack():
            return np.vstack([dense(child) for child in op.children])
        case so.HStack():
            return np.hstack([dense(child) for child in op.children])
        case so.BlockDiag():
            from scipy.linalg import block_diag

            return block_diag(*(dense(child) for child in op.children))
    if isinstance(op, Dense):
        return np.kron(np.eye(op.domain.shots), op.matrix)
    return np.stack([op._apply(e.reshape(op.domain.shape)).ravel() for e in np.eye(op.domain.size)], axis=1)
