"""How far receivers are from their sources, as operators, maps and surveys say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops.data.tracewise import kinds_of_traces, per_trace, traces_of
from seisops.elsewhere import here, there
from seisops.errors import ParameterError
from seisops.fusion import FusedSolve, fuse
from seisops.operators import LinearOperator, Product, Scaled, Sum, VStack
from seisops.spaces import DirectSum
from seisops.survey import Survey
from seisops.survey.windows import WindowedModeling
from seisops.wave.jacobian import Jacobian, Parametric

__all__ = ["distances", "offsets", "points_of"]

#: For each kind of traces, and each shot of it, the points of its sources and of its receivers.
Geometry = list[list[tuple[NDArray, NDArray]]]


def offsets(of: Any) -> NDArray[np.float64]:
    """Horizontal distance in metres of each receiver from the nearest source of its shot.

    Parameters
    ----------
    of : LinearOperator, Map or Survey
        A modeling operator such as ``Pr * Ainv * Ps.H`` or ``survey.modeling(medium)``, its Jacobian, its
        :class:`~seisops.Parametric`, or a survey.

    Returns
    -------
    ndarray
        (shots, points), or flat, in the order of the traces, where shots differ in their number of points or there are
        several components.

    Raises
    ------
    ParameterError
        If it does not say where its sources and receivers are.
    """
    space = traces_of(of, "offsets")
    flat = distances(of, "offsets", horizontal=True)
    return flat if isinstance(space, DirectSum) else flat.reshape(per_trace(space).shape[:-1])


def distances(of: Any, who: str, horizontal: bool = False) -> NDArray[np.float64]:
    """Distance of each receiver from the nearest source of its shot, in the order of the traces; see :func:`offsets`."""
    space, found = traces_of(of, who), _geometry(of)
    counts = [part.counts for part in kinds_of_traces(space)]
    if found is None or [len(r) for shots in found for _, r in shots] != [n for shots in counts for n in shots]:
        raise ParameterError(
            f"{who}: {of!r:.200} does not say where the sources and receivers of its traces are: give a modeling operator "
            "such as Pr * Ainv * Ps.H, or a Survey, or the distance of each trace"
        )
    axes = slice(None, -1) if horizontal else slice(None)
    return np.concatenate([_apart(s[:, axes], r[:, axes]) for shots in found for s, r in shots])


def _apart(sources: NDArray, receivers: NDArray) -> NDArray:
    apart = receivers[:, None] - sources[None]
    return np.sqrt((apart**2).sum(-1)).min(axis=1, initial=np.inf) if len(sources) else np.zeros(len(receivers))


def _geometry(of: Any) -> Geometry | None:
    match of:
        case Survey():
            return [[(shot.sources, shot.receivers) for shot in of]]
        case WindowedModeling():
            shots = [of.recipe.shots[i] for i in of.numbers]
            parts = [[(shot.sources, shot.receivers)] for shot in shots]
            return parts if isinstance(of.range, DirectSum) else [[one for part in parts for one in part]]
        case Jacobian() | Parametric():
            return _geometry(of.F)
        case LinearOperator():
            return _of_operator(fuse(of if there(of) is None else here(of)))
    return None


def _of_operator(op: LinearOperator) -> Geometry | None:
    """Of what is fused: the points of what is read, beside those of what is written."""
    match op:
        case FusedSolve():
            sources = [points_of(sampler) for sampler in op.writers]
            if None in sources:
                return None
            driven = [np.concatenate(shot) for shot in zip(*sources, strict=True)]
            heard = [points_of(sampler) for sampler in op.readers]
            return None if None in heard else [list(zip(driven, part, strict=True)) for part in heard]
        case Jacobian():
            return _of_operator(fuse(op.F))
        case Scaled():
            return _of_operator(op.op)
        case Sum():
            return _of_operator(op.children[0])
        case VStack():
            parts = [_of_operator(child) for child in op.children]
            return None if None in parts else [shots for part in parts for shots in part]
        case Product():
            found = [_of_operator(child) for child in op.children]
            known = [one for one in found if one is not None]
            # components that are combined to one, as of forces, are heard at the same points
            if known and len(kinds_of_traces(op.range)) == 1:
                return known[0][:1]
            return known[0] if known else None
    return None


def points_of(sampler: LinearOperator) -> Sequence[NDArray] | None:
    """The points of each shot of a sampler, or None where it has none."""
    points = getattr(sampler, "points", None)
    return None if points is None else [points.shot(s) for s in range(len(points))]
