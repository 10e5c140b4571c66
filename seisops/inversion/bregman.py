"""Sparse least-squares migration by linearised Bregman iterations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from seisops.errors import ParameterError, SpaceError
from seisops.inversion.batches import Batches
from seisops.inversion.following import journal_of
from seisops.inversion.progress import Bar
from seisops.operators import LinearOperator, as_operator
from seisops.wave._validate import integer, not_negative, real

__all__ = ["linearized_bregman"]

#: Residuals come near the noise, from above; it ends when they are within this part of it.
CLOSE = 1e-3


def linearized_bregman(
    J: Any,
    d: ArrayLike,
    *,
    transform: Any = None,
    threshold: float | None = None,
    kept: float = 0.1,
    noise: float = 0.0,
    iterations: int = 20,
    batches: Batches | None = None,
    callback: Callable[[OptimizeResult], Any] | None = None,
    journal: Any = None,
    progress: bool = False,
) -> OptimizeResult:
    r"""Find a sparse image that explains data, by linearised Bregman iterations.

    They find :math:`\min_x \lambda \|C x\|_1 + \frac12 \|C x\|^2` with :math:`\|J x - d\| \le \sigma`, where the columns of
    C.H are what the image is made of: in each iteration :math:`z \mathrel{-}= t\, J^\top (J x - d)` and
    :math:`x = C^H S_\lambda(C z)`, with S soft thresholding. The larger :math:`\lambda`, the
    more sparseness counts, until nothing changes any more: that is the image of the smallest l1 norm. It takes more
    iterations, but does not damp coefficients, as a penalty does.

    Parameters
    ----------
    J : LinearOperator
        From images to data, such as a Jacobian, with operators around it that precondition it, such as ``J * D``.
    d : array_like
        Linear data, in the range of J.
    transform : operator, optional
        C, from images to coefficients: an operator of PyLops, or ours, such as a wavelet transform; by default the identity.
        It should be orthogonal, or a tight frame: ``C.H * C`` the identity.
    threshold : float, optional
        :math:`\lambda`, in the unit of coefficients of z.
    kept : float, optional
        Where no threshold is given: the part of the coefficients that are above it in the first iteration.
    noise : float, optional
        :math:`\sigma`, the norm of what is noise in the data.
    iterations : int, optional
        At most.
    batches : Batches, optional
        Random subsets of shots, another one in each iteration.
    callback : callable, optional
        Called after each iteration with what is known so far; it ends by raising ``StopIteration``.
    journal : path or Journal, optional
        Where products with J are remembered, so that a run that was killed goes on.
    progress : bool, optional
        Whether to show a bar.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x``, the image, and ``z``, both in the shape of the domain of J; ``threshold``; ``residuals``, the norm of
        ``J x - d`` before each iteration, as a part of that of d, of the shots of the iteration; ``nit``, ``success``,
        ``status`` and ``message``.

    Raises
    ------
    ParameterError, SpaceError
        If arguments do not fit, or the data are zero.

    Notes
    -----
    Cai, Osher & Shen (2009), Linearized Bregman iterations for compressed sensing, doi:10.1090/S0025-5718-08-02189-3. Steps
    are :math:`t = \|r\|^2 / \|J^\top r\|^2` of the residual r, less the noise, with which it converges:
    Lorenz, Schöpfer & Wenger (2014), doi:10.1137/130936269. Of migration by batches: Witte et al. (2019),
    doi:10.1190/geo2018-0490.1. An iteration takes a product with J and one with its adjoint.
    """
    J = as_operator(J)
    iterations = integer("linearized_bregman iterations", iterations, minimum=1)
    noise = not_negative("linearized_bregman noise", noise, "the norm of data")
    kept = real("linearized_bregman kept", kept, "parts of all coefficients", positive=True)
    if threshold is not None:
        threshold = not_negative("linearized_bregman threshold", threshold, "the unit of coefficients")
    if kept > 1:
        raise ParameterError(f"linearized_bregman kept is a part of the coefficients, at most 1, got {kept:g}")
    data = J.range.asarray(d)
    J.range.require_finite(data, "linearized_bregman: d")
    if not data.any():
        raise ParameterError("linearized_bregman: the data are all zero: there is nothing to explain")
    C = None if transform is None else as_operator(transform)
    if C is not None and C.shape[1] != J.shape[1]:
        raise SpaceError(f"linearized_bregman: the transform takes {C.shape[1]} numbers, images have {J.shape[1]}")
    if batches is not None and batches.shots != J.shots:
        raise ParameterError(f"linearized_bregman: batches of {batches.shots} shots for an operator of {J.shots} shots")
    memory, bar = journal_of(journal, "linearized_bregman"), Bar(iterations) if progress else None
    shown = None if bar is None else bar.of()

    z, x = np.zeros(J.shape[1]), np.zeros(J.shape[1])
    out = OptimizeResult(residuals=[], threshold=threshold, nit=0, status=1)
    try:
        for k in range(iterations):
            some, observed, allowed = J, data, noise
            if batches is not None:
                some, observed = J.select(batches[k]), J.range.take(data, batches[k])
                allowed = noise * (len(batches[k]) / batches.shots) ** 0.5
            size = float(np.linalg.norm(observed)) or 1.0
            of_shots = some if memory is None else memory.operator(some)
            r = np.asarray(of_shots.matvec(_of(J, x)), np.float64) - observed.ravel()
            left = float(np.linalg.norm(r))
            out.residuals.append(left / size)
            if left <= (1.0 + CLOSE) * allowed and batches is None:
                out.status = 0
                break
            r *= max(0.0, 1.0 - allowed / left) if left else 0.0
            g = np.asarray(of_shots.rmatvec(some.range.asarray(r).ravel()), np.float64)
            if some is not J:
                some.forget()
            steep = float(np.linalg.norm(_coefficients(C, g)))
            z = z - (float(np.linalg.norm(r)) / steep) ** 2 * g if steep else z
            c = _coefficients(C, z)
            if out.threshold is None:
                out.threshold = float(np.quantile(np.abs(c), 1.0 - kept))
            x = _image(C, _thresholded(c, out.threshold))
            out.nit = k + 1
            if shown is not None:
                shown.tick(0.5 * left**2)
            if callback is not None:
                callback(_told(out, J, x, z))
    except StopIteration:
        out.status = 99
    finally:
        if bar is not None:
            bar.close()
    return _told(out, J, x, z)


MESSAGES = {0: "what is left is noise", 1: "all iterations are done", 99: "the callback raised StopIteration"}


def _told(out: OptimizeResult, J: LinearOperator, x: NDArray, z: NDArray) -> OptimizeResult:
    """What is known so far."""
    x, z = (np.array(_of(J, a)).reshape(J.domain.shape) for a in (x, z))
    told = {**out, "residuals": np.array(out.residuals), "x": x, "z": z}
    return OptimizeResult(told, success=out.status in (0, 1), message=MESSAGES[out.status])


def _of(J: LinearOperator, x: NDArray) -> NDArray:
    return J.domain.asarray(x).ravel()


def _coefficients(C: LinearOperator | None, x: NDArray) -> NDArray:
    return x if C is None else C.matvec(x.astype(C.domain.dtype))


def _image(C: LinearOperator | None, c: NDArray) -> NDArray:
    return c if C is None else np.real(C.rmatvec(c.astype(C.range.dtype))).astype(np.float64)


def _thresholded(c: NDArray, threshold: float) -> NDArray:
    """Soft thresholding, of complex numbers that of their absolute values."""
    size = np.abs(c)
    return c * (np.maximum(size - threshold, 0.0) / np.where(size > 0, size, 1.0))
