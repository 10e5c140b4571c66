"""Wavefield reconstruction: misfits of a model whose wave equation need not hold exactly."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from seisops.data.geometry import points_of
from seisops.elsewhere import here, there
from seisops.errors import ParameterError
from seisops.fusion import fuse, take_apart
from seisops.inversion.misfit import Misfit
from seisops.maps import Linearization, Map
from seisops.operators import HStack, LinearOperator, VStack, compose
from seisops.spaces import Axis, Space, doubled, join
from seisops.wave._validate import integer, real
from seisops.wave.jacobian import Parametric, names

__all__ = ["WavefieldReconstruction"]


#: Part of the residual at which conjugate gradients have nothing left to do.
CONVERGED = 1e-12


@dataclass
class Reconstructed:
    """What is found of a shot.

    Attributes
    ----------
    value : float
        Of the dual function.
    y : ndarray
        In the space of weighted data.
    more : ndarray
        What the reconstructed wavefield has besides the source, a source as a wavefield.
    moves : ndarray
        How the value moves with data before they are weighted: by y, and more where y moves as r does.
    """

    value: float
    y: NDArray
    more: NDArray
    moves: NDArray


class WavefieldReconstruction(Misfit):
    r"""The misfit of the best wavefield that fits the data and the wave equation, both not exactly.

    :math:`\phi(m) = \min_u \frac12 \|P_r u - d\|^2 + \frac{\lambda^2}{2} \|A(m) u - q\|^2`, full-waveform inversion for
    large :math:`\lambda` (van Leeuwen & Herrmann 2013, doi:10.1093/gji/ggt258). With :math:`S = P_r A^{-1}` and
    :math:`r = d - S q` its minimum is :math:`\frac12 r^\top y`, where y solves :math:`K y = r` with
    :math:`K = S S^\top / \lambda^2 + 1`, in the space of the data: the dual form, in which no wavefield is unknown
    (Rizzuti, Louboutin, Wang & Herrmann 2021, doi:10.1190/geo2020-0743.1). Its gradient is that of S at the source
    :math:`q + S^\top y / \lambda^2`, times -y: all derived from the residual of the wave equation, whatever it is.

    What the wavefield has besides q may be anywhere, so that waves that only come through the medium are fitted by sources
    beside the receivers, and cycles are skipped as by least squares (Symes 2020, doi:10.1088/1361-6420/ab8a65). With
    `focus` it costs more the farther it is from the source, :math:`\lambda^2 \|W (A u - q)\|^2 / 2` with
    :math:`W^2 = 1 + (r / \mathrm{focus})^2`, and :math:`K = S W^{-2} S^\top / \lambda^2 + 1` (Huang, Nammour & Symes 2018,
    doi:10.1190/geo2017-0330.1): late waves then want sources away from theirs, and the model is what brings them back.

    Parameters
    ----------
    F : LinearOperator
        A modeling expression of one solve, such as ``Pr * Ainv * Ps.H``. Of a distributed one, values and gradients are
        worked off where it is.
    data, q : array_like
        Observed data, and the source.
    wrt : str or tuple of str, optional
        What is looked for.
    penalty : float, optional
        :math:`\lambda^2` as a fraction of the largest eigenvalue of :math:`S W^{-2} S^\top` in the medium of F: the larger,
        the more the wave equation counts.
    iterations : int, optional
        Of conjugate gradients for y, from zero. With one, y is a multiple of r, and the misfit is
        :math:`\frac12 (r^\top r)^2 / r^\top K r`, with its exact gradient. With more it nears the minimum, and the gradient
        is exact as far as y is.
    focus : float, optional
        A radius in metres about the sources, a fraction of a wavelength; by default distance does not count. With it, five
        iterations and more, and a small penalty, cycles are not skipped where least squares skips them.
    weights, P, start, storage
        As of :class:`Misfit` and :class:`~seisops.Parametric`; with weights W, S and r are
        those of weighted data, W S and W r.

    Raises
    ------
    ParameterError
        If F is not one solve, a number makes no sense, or F does not say where the sources are that `focus` is about.

    Notes
    -----
    For each shot, an evaluation takes ``4 + 2 * iterations`` solves, and the source of a whole wavefield is in memory, at
    the samples of the data. Shots are worked on one after another, or by a cluster, each worker with the wavefields of its
    shots; what `penalty` is relative to is found here, of the first shot.

    Between one iteration and convergence the gradient is that of a y which does not move: in a small example, with a
    penalty of 0.01, derivatives along random directions were off by 5 to 12 % after 5 iterations, along smooth ones by 1 to
    3 %, after 10 by 0.2 %, and after 20 by 5e-5. Line searches take that well; a Taylor test does not.
    """

    def __init__(
        self,
        F: LinearOperator,
        data: ArrayLike,
        q: ArrayLike,
        wrt: str | Sequence[str] = "m",
        penalty: float = 1e-2,
        iterations: int = 1,
        focus: float | None = None,
        weights: Any = None,
        P: Any = None,
        start: Any = None,
        storage: Any = "auto",
    ) -> None:
        own = there(F)
        F = F if own is None else here(fuse(F))
        parts = take_apart(F)
        names(wrt)  # parameters of media; positions are not looked for
        self.penalty = real("WavefieldReconstruction penalty", penalty, "the largest eigenvalue", positive=True)
        self.iterations = integer("WavefieldReconstruction iterations", iterations, minimum=1)
        super().__init__(Parametric(F, wrt, storage), data, q, weights=weights, P=P, start=start)
        propagator = parts.propagator.H if parts.adjoint else parts.propagator
        heard = compose(*([] if self.weights is None else [self.weights]), parts.left, _one(VStack, parts.readers))
        self._S = Parametric(compose(heard, propagator), wrt, storage)
        self._driven = compose(_one(HStack, [w.H for w in parts.writers]), parts.right)
        self.focus = None if focus is None else real("WavefieldReconstruction focus", focus, "m", positive=True)
        self._sources = None if focus is None else _sources(parts.writers)
        self._level = self.penalty * self._largest()
        self._afar = None if own is None else own.spread(Totals(self))

    def _fingerprint(self) -> Sequence[Any]:
        return [*super()._fingerprint(), self.penalty, self.iterations, self.focus, self._level]

    def _about(self) -> dict[str, str]:
        focus = {} if self.focus is None else {"focus": f"{self.focus:g} m"}
        return {"penalty": f"{self.penalty:g}", "iterations": str(self.iterations), **focus}

    def _near(self, S: LinearOperator, shot: int) -> Any:
        """What the square of W divides by, of the wavefields of a shot."""
        if self._sources is None:
            return 1.0
        waves = S.domain
        axes = (waves.grid.coordinates(axis) for axis in waves.grid.axes)
        nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        apart = cKDTree(self._sources[shot]).query(nodes)[0]
        return (1.0 / (1.0 + (apart / self.focus) ** 2)).astype(waves.dtype)

    def _largest(self) -> float:
        """The largest eigenvalue of K - 1, times lambda^2, of the first shot, in the medium of F, by the power method."""
        S = self._S.F.select([0]) if self._S.shots else self._S.F
        y, size, near = S.range.random(0).ravel(), 0.0, self._near(S, 0)
        for _ in range(4):
            y = S.matvec((near * S.domain.asarray(S.rmatvec(y))).ravel())
            size = float(np.linalg.norm(y))
            y = y / size
        return size

    def select(self, shots: Sequence[int]) -> WavefieldReconstruction:
        """Return the misfit of some shots."""
        some = super().select(shots)
        some._S, some._driven = self._S.select(shots), self._driven.select(shots)
        some._sources = None if self._sources is None else [self._sources[shot] for shot in shots]
        some._afar = None if self._afar is None else self._afar.select(shots)
        return some

    def reconstructed(self, x: ArrayLike, shot: int = 0) -> tuple[NDArray, NDArray]:
        """Return y and the source ``q + S.H y / lambda^2`` of the reconstructed wavefield of a shot, an array of wavefields.

        Parameters
        ----------
        x : array_like
            An array of `domain`.
        shot : int, optional
        """
        model, q = self._model(self._changed(self._point(x))), self._source(shot)
        G = self.G.select([shot])
        one = self._reconstructed(model, shot, G.range.asarray(G(*model, q)))
        return one.y, self._driven.select([shot]).matvec(q.ravel()).reshape(one.more.shape) + one.more

    def _source(self, shot: int) -> NDArray:
        return self.G.domain[-1].take(self.fixed[-1], [shot])

    def _reconstructed(self, model: Sequence[NDArray], shot: int, modeled: NDArray) -> Reconstructed:
        S, W = self._S.select([shot])._at(model), None if self.weights is None else self.weights.select([shot])
        # what F makes, not S: points near the end of the grid may lie between nodes that no wavefield has
        r = (self.G.range.take(self.data, [shot]) - modeled).ravel()
        r = r if W is None else W.matvec(r)
        # conjugate gradients of K y = r; with S.H y on the way, and K y
        near, back = self._near(S, shot), S.domain.zeros()
        y, applied = np.zeros_like(r), np.zeros_like(r)
        left = direction = r
        first = power = float(left @ left)
        for _ in range(self.iterations):
            if power <= CONVERGED**2 * first:
                break
            behind = near * S.domain.asarray(S.rmatvec(direction))
            there = S.matvec(behind.ravel()) / self._level + direction
            step = power / float(direction @ there)
            y, back, applied = y + step * direction, back + step * behind, applied + step * there
            left = left - step * there
            before, power = power, float(left @ left)
            direction = left + (power / before) * direction
        value = float(np.sum(y * r, dtype=np.float64) - 0.5 * np.sum(y * applied, dtype=np.float64))
        # of one iteration y is a multiple of r, which moves with the model
        moves = y + step * left if self.iterations == 1 and first > 0 else y
        return Reconstructed(value, y, back / self._level, moves if W is None else W.rmatvec(moves))

    def __call__(self, x: ArrayLike) -> tuple[float, NDArray]:
        """Return the misfit, a float, and its gradient, flat and float64.

        Parameters
        ----------
        x : array_like
            An array of `domain`.
        """
        x = self._point(x)
        self.domain.require_finite(x, f"{type(self).__name__}: x")
        change: Linearization | None = self.P.linearize(x) if isinstance(self.P, Map) else None
        model = tuple(map(np.array, self._model(self._changed(x))))
        (value,), total = (Totals(self) if self._afar is None else self._afar)(*model)
        return float(value), self._through_p(change, self._whole.asarray(total).ravel())

    def totals(self, model: Sequence[NDArray]) -> tuple[float, NDArray]:
        """Return the misfit of a model and its gradient by that, flat, in float64.

        Parameters
        ----------
        model : sequence of ndarray
            An array for each parameter.
        """
        value, total = 0.0, np.zeros(self._whole.size)
        wanted = [True] * self.free + [False]
        for shot in range(self._S.shots or 1):
            G, S = self.G.select([shot]), self._S.select([shot])
            with G.linearize_at(*model, self._source(shot)) as at:
                one = self._reconstructed(model, shot, at.value)
                total -= join(g for g in at.pullback(G.range.asarray(one.moves), wanted) if g is not None)
            with S.linearize_at(*model, one.more) as at:
                total -= join(g for g in at.pullback(one.y, wanted) if g is not None)
            value += one.value
        return value, total

    def gauss_newton(self, x: ArrayLike) -> LinearOperator:
        """Not there: y depends on the model."""
        raise NotImplementedError(
            "WavefieldReconstruction has values and gradients: use a method of first order, L-BFGS"
        )

    hessian = gauss_newton


class Totals:
    """Value and gradient of a misfit, as a sum over shots of what depends on the model alone.

    Parameters
    ----------
    misfit : WavefieldReconstruction
    """

    def __init__(self, misfit: WavefieldReconstruction) -> None:
        # what stands between x and the model stays where x is
        self.misfit = copy(misfit)
        self.misfit.P = self.misfit.start = self.misfit._afar = None
        self.inputs = misfit.G.domain[: misfit.free]
        self.outputs = Space("value", (Axis("value", 1),), np.float64), doubled(misfit.sought)

    @property
    def shots(self) -> int | None:
        """The number of shots."""
        return self.misfit.shots

    def select(self, shots: Sequence[int]) -> Totals:
        """Return the sum over some shots."""
        return Totals(self.misfit.select(shots))

    @property
    def held_bytes(self) -> int:
        """How much memory wavefields hold: none between evaluations."""
        return self.misfit.held_bytes

    def forget(self) -> None:
        """Release what the maps have spare."""
        self.misfit.forget()

    def __call__(self, *model: NDArray) -> list[NDArray]:
        """Return the value and the gradient, of a model."""
        value, gradient = self.misfit.totals(model)
        return [np.array([value]), self.outputs[1].asarray(gradient)]


def _sources(writers: Sequence[LinearOperator]) -> list[NDArray]:
    """Where the sources of each shot are, (points, axes)."""
    points = [points_of(writer) for writer in writers]
    if None in points:
        raise ParameterError(
            f"focus of {writers!r:.100}: an extended source has no points to be near of; leave focus out, or model point "
            "sources, Pr * Ainv * Ps.H"
        )
    return [np.concatenate(shot) for shot in zip(*points, strict=True)]


def _one(stack: type, parts: Sequence[LinearOperator]) -> LinearOperator:
    return parts[0] if len(parts) == 1 else stack(parts)
