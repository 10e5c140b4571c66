"""Losses: what a misfit sums up of the differences between modeled and observed data, or of something else about them.

A loss is a penalty, a function of differences, sample by sample; some first take traces to something else by a map of
:mod:`seisops.data`, such as envelopes. Derivatives of first and second order are exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops.data.features import Distribution, Envelope, Normalized
from seisops.data.matching import ByLag, MatchingFilter
from seisops.data.tracemap import Following, TraceMap
from seisops.errors import ParameterError
from seisops.spaces import Space
from seisops.wave._validate import real

__all__ = ["L1", "Adaptive", "Correlation", "Envelopes", "Huber", "Loss", "Squares", "StudentT", "Transport"]


def __dir__() -> list[str]:
    return __all__


class Loss(ABC):
    """A penalty of differences, perhaps of a map of the traces."""

    def compared(self, space: Space, observed: NDArray) -> tuple[TraceMap | None, NDArray]:
        """The map of traces that are compared, None for themselves, and what the observed ones are by it.

        Parameters
        ----------
        space : Space
            Of weighted data.
        observed : ndarray
            Such data.
        """
        return None, observed

    @abstractmethod
    def value(self, r: NDArray) -> float:
        """The loss of differences in float64."""

    @abstractmethod
    def slope(self, r: NDArray) -> NDArray:
        """Its gradient."""

    @abstractmethod
    def curvature(self, r: NDArray) -> NDArray | float:
        """Its second derivative, sample by sample."""

    def weight(self, r: NDArray) -> NDArray | float:
        """What takes the place of the second derivative in Gauss-Newton Hessians: not negative."""
        return self.curvature(r)

    def _fingerprint(self) -> Sequence[Any]:
        return [sorted((name, value) for name, value in vars(self).items())]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


class Squares(Loss):
    r"""Least squares, :math:`\frac12 \sum r^2`."""

    def value(self, r):
        # not a BLAS product: its last bits depend on the number of threads, and optimisers branch on them
        return 0.5 * float(np.sum(np.square(r, dtype=np.float64)))

    def slope(self, r):
        return r

    def curvature(self, r):
        return 1.0


class Huber(Loss):
    r"""Squares of small differences, absolute values of large ones: :math:`\frac12 r^2` or :math:`\delta(|r| - \delta / 2)`.

    Huber (1964, doi:10.1214/aoms/1177703732); in inversion Guitton & Symes (2003, doi:10.1190/1.1598124).

    Parameters
    ----------
    delta : float
        In the unit of weighted data: what is larger is large.
    """

    def __init__(self, delta: float) -> None:
        self.delta = real("Huber delta", delta, "the unit of weighted data", positive=True)

    def value(self, r):
        size = np.abs(r)
        return float(np.sum(np.where(size <= self.delta, 0.5 * r * r, self.delta * (size - 0.5 * self.delta))))

    def slope(self, r):
        return np.clip(r, -self.delta, self.delta)

    def curvature(self, r):
        return (np.abs(r) <= self.delta).astype(np.float64)

    def weight(self, r):
        return self.delta / np.maximum(np.abs(r), self.delta)


class L1(Loss):
    r"""Absolute values, smooth about zero: :math:`\sum \sqrt{r^2 + \epsilon^2} - \epsilon`.

    Parameters
    ----------
    floor : float
        :math:`\epsilon` in the unit of weighted data.
    """

    def __init__(self, floor: float) -> None:
        self.floor = real("L1 floor", floor, "the unit of weighted data", positive=True)

    def value(self, r):
        return float(np.sum(r * r / (np.hypot(r, self.floor) + self.floor)))

    def slope(self, r):
        return r / np.hypot(r, self.floor)

    def curvature(self, r):
        return self.floor**2 / np.hypot(r, self.floor) ** 3


class StudentT(Loss):
    r"""Minus the logarithm of Student's t: :math:`\frac{\nu + 1}{2} \sum \log(1 + r^2 / (\nu \sigma^2))`.

    Beyond some :math:`\sigma` a difference counts the less, the larger it is: dead and wild traces count for next to nothing
    (Aravkin, van Leeuwen & Herrmann 2011, doi:10.1190/1.3627747).

    Parameters
    ----------
    scale : float
        :math:`\sigma` in the unit of weighted data: about the differences that noise makes.
    nu : float, optional
        Degrees of freedom: the fewer, the more robust.
    """

    def __init__(self, scale: float, nu: float = 2.0) -> None:
        self.scale = real("StudentT scale", scale, "the unit of weighted data", positive=True)
        self.nu = real("StudentT nu", nu, "degrees of freedom", positive=True)

    def _width(self) -> float:
        return self.nu * self.scale**2

    def value(self, r):
        return 0.5 * (self.nu + 1) * float(np.sum(np.log1p(r * r / self._width())))

    def slope(self, r):
        return (self.nu + 1) * r / (self._width() + r * r)

    def curvature(self, r):
        width, square = self._width(), r * r
        return (self.nu + 1) * (width - square) / (width + square) ** 2

    def weight(self, r):
        return (self.nu + 1) / (self._width() + r * r)


class Correlation(Squares):
    r"""One minus the correlation of each trace with the observed one: amplitudes do not count.

    :math:`\frac12 \sum \| u / \|u\| - v / \|v\| \|^2 = \sum 1 - \langle u, v \rangle / (\|u\| \|v\|)` (Choi &
    Alkhalifah 2012, doi:10.1111/j.1365-2478.2012.01079.x). A trace that is observed as silent counts for up to 1/2, whatever
    is modeled: give it weight 0.

    Parameters
    ----------
    floor : float, optional
        What is added to norms, in squares, as a fraction of the root mean square of the observed ones: so weak a trace
        counts for less.
    """

    def __init__(self, floor: float = 1e-3) -> None:
        self.floor = real("Correlation floor", floor, "norms of traces", positive=True)

    def compared(self, space, observed):
        features = Normalized(space, self.floor * (_size(observed) * np.sqrt(observed.shape[-1])))
        return features, features(observed)


class Envelopes(Squares):
    """Squares of differences of envelopes, which hold lower frequencies than traces do; see :class:`~seisops.data.Envelope`.

    Parameters
    ----------
    floor : float, optional
        What is taken as silence, as a fraction of the root mean square of observed samples.
    """

    def __init__(self, floor: float = 1e-2) -> None:
        self.floor = real("Envelopes floor", floor, "root mean squares", positive=True)

    def compared(self, space, observed):
        features = Envelope(space, self.floor * _size(observed))
        return features, features(observed)


class Transport(L1):
    """Optimal transport: the distance in samples by which the mass of a trace has to move to become the observed one.

    The 1-Wasserstein distance of traces that are made positive, smooth about zero; see :class:`~seisops.data.Distribution`.

    Parameters
    ----------
    scale : float, optional
        Of the function that makes traces positive, in root mean squares of observed samples: with a small one, what is
        negative counts for nothing; with a large one all mass lies evenly, and what moves is little.
    floor : float, optional
        Differences of distributions that count by their squares.
    """

    def __init__(self, scale: float = 1.0, floor: float = 1e-3) -> None:
        super().__init__(floor)
        self.scale = real("Transport scale", scale, "root mean squares", positive=True)

    def compared(self, space, observed):
        features = Distribution(space, self.scale * _size(observed))
        return features, features(observed)


class Adaptive(Squares):
    r"""Adaptive waveform inversion: how far the filter from each trace to the observed one is from a spike.

    :math:`\frac12 \sum \|T w\|^2 / \|w\|^2` with the filter w of :class:`~seisops.data.MatchingFilter` and T its lags, as a
    fraction of the largest (Warner & Guasch 2016, doi:10.1190/geo2015-0387.1): an arrival that comes late by more than half
    a period still shows the way. Amplitudes do not count, and neither does a trace that is modeled, or observed, as silent.

    Parameters
    ----------
    damping : float, optional
        Of the filters, as a fraction of the mean power of a modeled trace.
    """

    def __init__(self, damping: float = 1e-2) -> None:
        self.damping = real("Adaptive damping", damping, "mean power", positive=True)

    def compared(self, space, observed):
        _size(observed)
        filters = MatchingFilter(space, observed, self.damping)
        shape = Normalized(filters.range)
        return Following(ByLag(filters.range), Following(shape, filters)), filters.range.zeros()


def _size(observed: NDArray) -> float:
    """Root mean square of samples."""
    size = float(np.sqrt(np.mean(np.square(observed, dtype=np.float64))))
    if not size:
        raise ParameterError("the observed data are all zero, and this loss is relative to them: give data")
    return size
