"""Constant Q by standard linear solids."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isinf
from typing import NamedTuple

import numpy as np

from seisops.errors import ParameterError, shown
from seisops.wave._validate import number_or_nan

__all__ = [
    "BAND",
    "Mechanism",
    "at_f0",
    "dispersion",
    "frequency",
    "mechanisms",
    "modulus_over_relaxed",
    "quality",
    "solids",
    "strength",
    "unreached",
]

#: Highest over lowest frequency of the band over which Q is fitted, f0 in its middle.
BAND = 10.0


class Mechanism(NamedTuple):
    """A standard linear solid: its relaxation time in s, and its part in what relaxes, of P and of S waves."""

    time: float
    weight: float
    shear: float


def frequency(f0) -> float:
    """A reference frequency in Hz as it was given, checked."""
    out = number_or_nan(f0)
    if not out >= 0:
        raise ParameterError(f"f0={shown(f0)}: give the reference frequency in Hz, one number that is not negative")
    return out


def mechanisms(given) -> int | tuple[tuple[float, ...], ...]:
    """A number of mechanisms, or the mechanisms themselves, as they were given, checked."""
    if isinstance(given, int | np.integer) and not isinstance(given, bool) and 1 <= given <= 8:
        return int(given)
    try:
        out = tuple(tuple(map(number_or_nan, one)) for one in given)
    except TypeError:
        out = ()
    if not out or not all(len(one) in (2, 3) and one[0] > 0 and np.isfinite(one).all() for one in out):
        raise ParameterError(
            f"mechanisms={shown(given)}: give how many standard linear solids, 1 to 8, or (relaxation time in s, weight), "
            "or (relaxation time, weight for P, weight for S), for each"
        )
    return out


@lru_cache(maxsize=32)
def solids(f0: float, given: int | tuple[tuple[float, ...], ...]) -> tuple[Mechanism, ...]:
    """Mechanisms with which ``1/Q = tau A(w)``, to first order in tau, ``A = sum_l weight_l w t_l / (1 + (w t_l)^2)``.

    Fitted so that A is 1 over a band around f0 (for one mechanism: at f0), by least squares over the logarithm of the
    frequency: see Blanch, Robertsson & Symes (1995), doi:10.1190/1.1443744.
    """
    if not isinstance(given, int):
        return tuple(Mechanism(time, weight, shear[0] if shear else weight) for time, weight, *shear in given)
    if not 0 < f0 < np.inf:
        raise ParameterError(f"f0={f0!r} Hz: constant Q is fitted around a frequency above 0 and below infinity")
    if given == 1:
        return (Mechanism(1 / (2 * np.pi * f0), 2.0, 2.0),)
    found = min((_fitted(given, half) for half in np.geomspace(BAND**0.25, 2 * BAND**0.5, 60)), key=lambda fit: fit[0])
    return tuple(Mechanism(float(t / (2 * np.pi * f0)), float(a), float(a)) for t, a in zip(*found[1:], strict=True))


def _fitted(count: int, half: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Times spread over a band around 1, up to `half` either way, with their weights, and by how much A misses 1 at most."""
    from scipy.optimize import nnls  # takes a while to import, and few media need it

    times, w = np.geomspace(half, 1 / half, count), np.geomspace(BAND**-0.5, BAND**0.5, 200)
    x = np.outer(w, times)
    weights, _ = nnls(x / (1 + x**2), np.ones(len(w)))
    return float(np.abs(x / (1 + x**2) @ weights - 1).max()), times, weights


def dispersion(f: float, times: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """A and B of the modulus ``M = M_relaxed (1 + tau (B + i A))`` at a frequency in Hz."""
    if isinf(f):
        return 0.0, float(sum(weights))
    x = [2 * np.pi * f * t for t in times]
    return (
        float(sum(a * y / (1 + y**2) for a, y in zip(weights, x, strict=True))),
        float(sum(a * y**2 / (1 + y**2) for a, y in zip(weights, x, strict=True))),
    )


def at_f0(f0: float, mechanisms: int | tuple[tuple[float, ...], ...], shear: bool = False) -> tuple[float, float]:
    """A and B of P waves, or of S waves, at the reference frequency."""
    found = solids(f0, mechanisms)
    return dispersion(f0, [one.time for one in found], [one.shear if shear else one.weight for one in found])


def modulus_over_relaxed(tau, a: float, b: float):
    """Squared phase velocity over that of the relaxed medium, of ``M = M_relaxed (1 + tau (b + i a))``."""
    real = 1 + tau * b
    size = (real**2 + (tau * a) ** 2) ** 0.5
    return 2 * size**2 / (size + real)


def strength(q, a: float, b: float):
    """tau of a quality factor: ``1/Q = tau a / (1 + tau b)``."""
    if a == 0:
        raise ParameterError(
            "quality factors are those at f0, and at a frequency of 0 or infinity nothing is lost: give the frequency in Hz "
            "that they are measured at, or relaxation strengths (tau, tau_p, tau_s) in their place"
        )
    return 1 / (q * a - b)


def unreached(of: str, name: str, q: float, f0: float, given, shear: bool = False) -> ParameterError:
    """What to raise where no strength of the mechanisms makes a quality factor as small as this at f0.

    Parameters
    ----------
    of, name : str
        What the mechanisms are of, and the quality factor's name, for the message.
    q : float
        The quality factor.
    f0, given, shear
        As of :func:`at_f0`.
    """
    a, b = at_f0(f0, given, shear)
    said = (
        f"{of}: {name} of {q:.4g} at f0 = {f0:.4g} Hz cannot be: however strong these standard linear solids are, it is "
        f"more than {b / a:.4g} there"
    )
    if isinstance(given, int):
        return ParameterError(f"{said}. Take a larger {name}")
    # where a solid takes most: at the frequency 1 / (2 pi t)
    peaks = sorted(1 / (2 * np.pi * time) for time, *_ in given)
    listed = ", ".join(f"{time:.4g}" for time, *_ in given)
    around = " and ".join(f"{peak:.4g}" for peak in dict.fromkeys((peaks[0], peaks[-1])))
    said += f". With relaxation times of {listed} s they take most around {around} Hz: "
    if min(abs(np.log10(1e3 * peak / f0)) for peak in peaks) < 1:
        meant = ", ".join(f"({time / 1e3:.4g}, {', '.join(f'{w:g}' for w in weights)})" for time, *weights in given)
        return ParameterError(f"{said}if the times are in ms, pass mechanisms=[{meant}]")
    return ParameterError(f"{said}take times near 1 / (2 pi f0), {1 / (2 * np.pi * f0):.4g} s, or a larger {name}")


def quality(tau, a: float, b: float):
    """The quality factor of tau, infinite where nothing is lost."""
    with np.errstate(divide="ignore"):
        return (1 / tau + b) / a
