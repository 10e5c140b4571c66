"""Random source encoding: a few weighted sums of shots in place of all of them, as an operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.elsewhere import sent, there
from seisops.errors import ParameterError, SpaceError
from seisops.fusion import Fused, take_apart
from seisops.operators import Identity, LinearOperator, Scaled, VStack, compose, scale
from seisops.spaces import Space, Traces
from seisops.wave._validate import integer
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.combination import Combination
from seisops.wave.sampling.points import Coordinates
from seisops.wave.sampling.projection import Projection
from seisops.wave.sampling.wavelet import Wavelet
from seisops.wave.space import Wavefield

__all__ = ["Encoding", "Mix", "Spread"]

KINDS = ("rademacher", "gaussian")


class Encoding:
    r"""Weights :math:`w_{ns}` that make n encoded shots of all shots s of a fixed spread.

    Encoded data are :math:`\sum_s w_{ns} d_s`. As all shots share their receivers and the wave equation is linear in its
    source, they are the data of one shot in which all sources go off, each with its weight: n solves in place of one for
    each shot (Krebs et al. 2009, doi:10.1190/1.3230502).

    Parameters
    ----------
    weights : array_like, shape (n, shots)
        The weights. Misfit and gradient of encoded data are unbiased estimates of those of all data if the expectation
        of ``weights.T @ weights`` is the identity, as for those of :meth:`random`.

    Attributes
    ----------
    weights : ndarray, shape (n, shots)

    Notes
    -----
    With ``Fe = E.encode(F)``, ``Fe @ (E.sources(F) @ q)`` is ``E.data(F.range) @ (F @ q)``, to rounding.
    """

    def __init__(self, weights: ArrayLike) -> None:
        weights = np.array(weights)
        if weights.ndim != 2 or not weights.size or weights.dtype.kind not in "biuf" or not np.isfinite(weights).all():
            raise ParameterError(
                f"Encoding needs finite real weights of shape (encoded shots, shots), got {weights.dtype} of shape "
                f"{weights.shape}"
            )
        self.weights = weights.astype(np.float64)
        self.weights.flags.writeable = False

    @classmethod
    def random(cls, n: int, shots: int, kind: str = "rademacher", seed: int | Sequence[int] = 0) -> Encoding:
        """Return random weights of mean 0 and variance 1/n, independent of each other.

        Parameters
        ----------
        n : int
            Number of encoded shots.
        shots : int
            Number of shots.
        kind : {"rademacher", "gaussian"}, optional
            Signs, whose estimates vary least, or normal weights.
        seed : int or sequence of int, optional
            For new weights in every iteration of a run that can be repeated: ``seed=(seed, iteration)``.
        """
        n, shots = integer("Encoding n", n, minimum=1), integer("Encoding shots", shots, minimum=1)
        if kind not in KINDS:
            raise ParameterError(f"Encoding.random(kind={kind!r}): use {' or '.join(map(repr, KINDS))}")
        rng = np.random.default_rng(seed)
        signs = rng.standard_normal((n, shots)) if kind == "gaussian" else 2.0 * rng.integers(0, 2, (n, shots)) - 1.0
        return cls(signs / np.sqrt(n))

    @property
    def n(self) -> int:
        """The number of encoded shots."""
        return self.weights.shape[0]

    @property
    def shots(self) -> int:
        """The number of shots that are encoded."""
        return self.weights.shape[1]

    def data(self, space: Space | LinearOperator) -> LinearOperator:
        """Return the operator from data of all shots to data of the encoded shots.

        Parameters
        ----------
        space : Space or LinearOperator
            The space of the data, such as ``F.range``, or of anything else with an array for each shot; F stands for its
            range.
        """
        space = _space(space, "range")
        self._check(space)
        if space.axes[0].name != "shot":
            raise SpaceError(f"cannot encode {space}: its shots have different numbers of points, and cannot be summed")
        return Mix(self.weights, space)

    def sources(self, of: LinearOperator | Space) -> LinearOperator:
        """Return the operator from the sources of all shots to those of the encoded shots.

        Parameters
        ----------
        of : LinearOperator or Space
            F, or its domain. Point sources of all shots go off together, one after another in the order of the shots;
            extended sources are summed.
        """
        space = _space(of, "domain")
        self._check(space)
        return Spread(self.weights, space) if isinstance(space, Traces) else self.data(space)

    def encode(self, F: LinearOperator) -> LinearOperator:
        """Return the modeling operator of the encoded shots: receivers of F, the same medium, all sources at once.

        Parameters
        ----------
        F : LinearOperator
            ``Pr * Ainv * Ps.H`` or ``Pr * Ainv * Pw.H`` with the same receivers in all shots. For Pr and Ps, each, stands a
            :class:`~seisops.Projection`, or what is made of components: :class:`~seisops.Force`,
            :class:`~seisops.MomentTensor`, :class:`~seisops.Dipole`, :class:`~seisops.Fibre`. That of a distributed one is
            distributed, too.

        Raises
        ------
        ParameterError
            If F is something else, or receivers (their directions, signatures) differ from shot to shot.
        """
        if there(F) is not None:
            return sent(self.encode, F)
        parts = take_apart(F)
        scalar, reading, writing = _sides(F, parts)
        self._check(F.range)
        for reader in reading.samplers:
            _same_in_all(reader.points, "receivers", F)
        _same_combination(reading.combination, F)
        modeling = parts.propagator
        if not isinstance(modeling, Modeling):
            raise ParameterError(f"cannot encode {F}: {modeling!r} is no Modeling")
        copies = [0] * self.n
        heard = reading.with_samplers([reader.select(copies) for reader in reading.samplers])
        if heard.combination is not None:
            heard = replace(heard, combination=heard.combination.select(copies))
        solved = heard.operator * modeling.select(copies) * self._all_at_once(writing, F).operator.H
        return solved if scalar == 1 else scale(scalar, solved)

    def _all_at_once(self, writing: Side, F: LinearOperator) -> Side:
        """What drives the encoded shots: sources of all shots, each where it is."""
        copies, first = [0] * self.n, writing.samplers[0]
        if isinstance(first, Wavelet):
            _same_signature(first, F)
            return writing.with_samplers([first.select(copies)])
        waves, together = cast(Wavefield, first.domain.select(copies)), []
        for writer in writing.samplers:
            points = np.concatenate([writer.points.shot(s) for s in range(self.shots)])
            # where they may lie was checked before
            together.append(writer.elsewhere(waves, Coordinates(points, waves.grid, self.n, margin=np.inf)))
        combination = writing.combination
        return Side(tuple(together), None if combination is None else combination.together(self.n))

    def _check(self, space: Space) -> None:
        if space.shots != self.shots:
            raise SpaceError(f"{self!r} cannot encode {space}, which has {space.shots or 'no'} shots")

    def _fingerprint(self) -> Sequence[Any]:
        return [self.weights]

    def __repr__(self) -> str:
        return f"<Encoding of {self.shots} shots into {self.n}>"


class AllShots(LinearOperator):
    """What encodings have in common: an encoded shot is made of all shots."""

    symbol = "E"

    @property
    def shots(self) -> None:
        """None: an encoded shot is made of all shots."""
        return None

    def select(self, shots: Sequence[int]) -> LinearOperator:
        """Refuse: an encoded shot is made of all shots."""
        raise SpaceError(
            f"{self} cannot be restricted to shots: every encoded shot is made of all of them. Make an Encoding of the "
            "shots that you want, Encoding(weights[:, shots])"
        )


class Mix(AllShots):
    """Weighted sums of shots.

    Parameters
    ----------
    weights : ndarray, shape (n, shots)
        The weights.
    space : Space
        Of arrays whose first axis are the shots.
    """

    def __init__(self, weights: NDArray, space: Space) -> None:
        self.weights = weights.astype(space.dtype)
        super().__init__(space, space.select([0] * len(weights)))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.weights]

    def _apply(self, x: NDArray) -> NDArray:
        return np.tensordot(self.weights, x, 1)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return np.tensordot(self.weights.T, y, 1)


class Spread(AllShots):
    """Weighted sources of all shots, all of them in each encoded shot.

    Parameters
    ----------
    weights : ndarray, shape (n, shots)
        The weights.
    space : Traces
        Of the sources; shots may have different numbers of them.
    """

    def __init__(self, weights: NDArray, space: Traces) -> None:
        self.weights = np.repeat(weights, space.counts, axis=1).astype(space.dtype)[:, :, None]
        points = sum(space.counts)
        super().__init__(space, Traces([points] * len(weights), space.time_axis, space.dtype, space.name))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.weights]

    def _apply(self, x: NDArray) -> NDArray:
        return self.weights * x.reshape(1, -1, x.shape[-1])

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return np.einsum("nj,njt->jt", self.weights[:, :, 0], y).reshape(self.domain.shape)


def _space(of: Any, side: str) -> Space:
    space = getattr(of, side) if isinstance(of, LinearOperator) else of
    if not isinstance(space, Space):
        raise ParameterError(f"expected an operator F, or a space such as F.{side}, got {of!r:.120}")
    return space


@dataclass(frozen=True)
class Side:
    """What stands on one side of a solve: samplers, and what is combined of them, if it is."""

    samplers: tuple[Any, ...]
    combination: Combination | None

    @property
    def operator(self) -> LinearOperator:
        """As it stands on the left, from wavefields."""
        heard = self.samplers[0] if len(self.samplers) == 1 else VStack(self.samplers)
        return heard if self.combination is None else compose(self.combination, heard)

    def with_samplers(self, samplers: Sequence[LinearOperator]) -> Side:
        """The same of others."""
        return replace(self, samplers=tuple(samplers))


def _sides(F: LinearOperator, parts: Fused) -> tuple[complex, Side, Side]:
    """The factor of a modeling operator, its receivers, and its sources."""
    scalar: complex = 1.0
    sides: list[Side] = []
    for beside, samplers, kinds in (
        (parts.left, parts.readers, Projection),
        (parts.right.H, parts.writers, Projection | Wavelet),
    ):
        while isinstance(beside, Scaled):
            scalar, beside = scalar * beside.scalar, beside.op
        combined = isinstance(beside, Combination)
        known = (combined or (isinstance(beside, Identity) and len(samplers) == 1)) and not parts.adjoint
        if not known or not all(isinstance(s, Projection if combined else kinds) for s in samplers):
            raise ParameterError(
                f"cannot encode {F}: expected receivers, a solve and sources, as Pr * Ainv * Ps.H or Pr * Ainv * Pw.H, with "
                "one of Projection, Force, MomentTensor, Dipole and Fibre on either side; put what stands beside them "
                "around the encoded operator"
            )
        sides.append(Side(samplers, beside if combined else None))
    reading, writing = sides
    return scalar, reading, writing


def _same_combination(combination: Combination | None, F: LinearOperator) -> None:
    s = None if combination is None else combination.differing()
    if s is not None:
        raise ParameterError(
            f"cannot encode {F}: it needs the same receivers in all shots, but directions or tensors of those of shot {s} "
            "are not those of shot 0. Encode groups of shots that share them, F[shots], or use random batches of shots"
        )


def _same_in_all(points: Coordinates, what: str, F: LinearOperator) -> None:
    for s, count in enumerate(points.counts):
        if count != points.counts[0]:
            differs = f"shot 0 has {points.counts[0]} and shot {s} has {count}"
        elif not np.array_equal(points.shot(s), points.shot(0)):
            differs = f"those of shot {s} are not where those of shot 0 are"
        else:
            continue
        raise ParameterError(
            f"cannot encode {F}: it needs the same {what} in all shots, but {differs}. Encode groups of shots that share "
            f"their {what}, F[shots], or use random batches of shots"
        )


def _same_signature(writer: Wavelet, F: LinearOperator) -> None:
    for s, signature in enumerate(writer.signature):
        if not np.array_equal(signature, writer.signature[0]):
            raise ParameterError(
                f"cannot encode {F}: extended sources need the same signature in all shots, but that of shot {s} is not "
                "that of shot 0"
            )
