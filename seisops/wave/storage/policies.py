r"""How the forward wavefield meets the adjoint: what of it is kept between the two, and at what cost.

A derivative needs the *history* of the forward (background) wavefield: one or a few factors of it at each of the N steps
of the solver, H bytes a step in all: cells of the padded grid x 4 bytes (8 in float64) for squared slowness, 1 + ndim
times that for density, 5 (9 in 3D) for the three parameters of elastic waves. The Born operator J goes through it
forward in time, its adjoint backward. A policy says what is kept of it for each shot. Every policy gives a Jacobian and
an adjoint that are an exact pair; the *exactness* of a policy says what it does to the derivative itself.

Policies are compared in solves: ``extra`` is what a product costs beyond the solve of its own, once the background of a
shot is there and is held. Making it costs a solve of the background. Backgrounds are held from one product to the next up
to `keep_bytes`, which all linearisations of a map share; for shots beyond that they are made anew in every product.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seisops.engine import backend
from seisops.engine.facts import Keep
from seisops.errors import ParameterError
from seisops.wave._validate import integer, number_or_nan
from seisops.wave.storage.background import (
    SEGMENT_BYTES,
    AlongEdges,
    Background,
    Checkpoints,
    Coded,
    Start,
    Streamed,
    Whole,
)
from seisops.wave.storage.codecs import Basis, File, Integers
from seisops.wave.storage.layout import Layout
from seisops.wave.storage.pool import Pool
from seisops.wave.storage.schedule import Schedule, leanest, with_copies, within

__all__ = [
    "Auto",
    "Boundary",
    "Checkpointed",
    "Compressed",
    "Disk",
    "Fourier",
    "Full",
    "Host",
    "Policy",
    "Probed",
    "Subsampled",
    "policy",
]

# how much of backgrounds is kept by default
KEEP_BYTES = 2**31

# share of the memory that is free now that "auto" may take
SAFE = 0.5

# share of a solve below which computing again is avoided by holding part of a history
WORTH = 0.9


@dataclass(frozen=True)
class Policy(ABC):
    """Base of storage policies.

    Parameters
    ----------
    keep_bytes : int, optional
        Backgrounds of shots are kept from one product to the next up to this many bytes in all (2 GiB by default), of a
        Jacobian or of all open linearisations of a map together; those of further shots are made anew in every product, at
        the cost of one more solve each.
    """

    keep_bytes: int | None = field(default=KEEP_BYTES, kw_only=True)

    #: Every how many time steps the background is kept.
    every = 1
    #: Whether fields may be kept in place of what can be made of them again: where what is kept is given back as it was.
    fields = False
    #: Whether waves are run backward in time, which those that lose energy do not allow.
    reverses = False
    #: What is taken down in the forward march.
    records = Background.records
    #: What the policy does to derivatives: "exact", "exact to rounding" or "approximate".
    exactness = "exact"

    def __post_init__(self):
        if self.keep_bytes is not None:
            integer(f"{type(self).__name__} keep_bytes", self.keep_bytes, minimum=0)

    @property
    def keep(self) -> Keep:
        """What is kept of a background."""
        return Keep(self.every, self.fields and self.every == 1)

    def budget(self, on: str) -> int:
        """Bytes of backgrounds on a device that are kept from one product to the next."""
        return KEEP_BYTES if self.keep_bytes is None else self.keep_bytes

    def pool(self, on: str) -> Pool:
        """Memory for backgrounds of waves on a device, of one map or Jacobian."""
        return Pool(self.budget(on), on)

    @property
    def stands_for(self) -> str | None:
        """What counts of it in a fingerprint: exact policies give the same bits with any memory; all of any other."""
        return self.exactness if self.exactness == "exact" else None

    @abstractmethod
    def background(self, layout: Layout, again: Start, pool: Pool, left: int, shots: int) -> Background:
        """An empty background of a shot.

        Parameters
        ----------
        layout : Layout
        again : callable
            Starts the march that makes it.
        pool : Pool
        left : int
            Bytes of `keep_bytes` that other shots, and other linearisations of the map, have left.
        shots : int
            Shots that have no background yet, this one included.
        """


@dataclass(frozen=True)
class Full(Policy):
    """Keep the background at every step of the solver: exact.

    Memory for a shot: N H. Cost: no extra solve.
    """

    fields = True

    def background(self, layout, again, pool, left, shots):
        return Whole(layout, again, pool)


@dataclass(frozen=True)
class Host(Policy):
    """Keep the background of waves on a device at every step of the solver, in memory of the host: exact.

    Of a graphics processor; on the CPU, whose memory that is anyway, it is :class:`Full`, so that a script runs on both.
    Memory for a shot: that of two blocks of the history on the device, 64 MiB or so each, and N H on the host, pinned, so
    that it is copied to and from at full speed. Cost: no extra solve; a block is copied while the next is computed, and
    computing waits where H bytes take longer to cross than a step. Results are those of :class:`Full` to the last bit.

    Parameters
    ----------
    keep_bytes : int, optional
        Here, how much of the host's memory is used to keep backgrounds from one product to the next.
    """

    fields = True

    def background(self, layout, again, pool, left, shots):
        if pool.host is pool:
            return Whole(layout, again, pool)
        return Streamed(layout, again, pool)


@dataclass(frozen=True)
class Subsampled(Policy):
    """Keep the background at every `every`-th step, and let the Born source act at those steps only, `every` times as
    strong: approximate.

    With 10 Hz waves stepped at 1 ms, data of a rough perturbation are off by 2e-3 (every second step), 7e-3 (fourth) and
    1e-1 (eighth). Memory for a shot: N H / every. Cost: no extra solve.

    Parameters
    ----------
    every : int
        Steps from one kept level to the next.
    keep_bytes : int, optional
    """

    every: int = 4
    exactness = "approximate"
    fields = True

    def __post_init__(self):
        super().__post_init__()
        integer("Subsampled every", self.every, minimum=1)

    def background(self, layout, again, pool, left, shots):
        return Whole(layout, again, pool)


@dataclass(frozen=True)
class Checkpointed(Policy):
    r"""Keep copies of the state of the march, and compute the history between them again when it is needed: exact.

    The time axis is divided into segments. With a copy of the state, S bytes, at the start of each of K segments and room
    for the history of one, memory is :math:`(K - 1) S + (N / K) H`, least at about :math:`2 \sqrt{N S H}` (for second-order
    acoustics S is about 2 H). Every segment is then computed once more: one extra solve in each product with J and with
    J.H. Memory beyond that keeps the histories of the last segments, which need not be computed again. With less memory
    copies are placed as by Revolve [1]_ [2]_, segments for its steps, and segments are computed several times on the way
    back. Results are those of :class:`Full` to the last bit.

    Parameters
    ----------
    n : int, optional
        Most copies of the state; each product then costs one extra solve.
    bytes : int, optional
        Memory for a shot, all that is used on the way included. By default the least at which there is but one extra
        solve.
    keep_bytes : int, optional

    References
    ----------
    .. [1] Griewank, A., Walther, A. (2000), Algorithm 799: revolve: an implementation of checkpointing for the reverse or
       adjoint mode of computational differentiation, ACM Transactions on Mathematical Software 26(1), 19-45,
       doi:10.1145/347837.347846.
    .. [2] Symes, W. W. (2007), Reverse time migration with optimal checkpointing, Geophysics 72(5), SM213-SM221,
       doi:10.1190/1.2742686.
    """

    n: int | None = None
    bytes: int | None = None
    fields = True

    def __post_init__(self):
        super().__post_init__()
        if self.n is not None and self.bytes is not None:
            raise ParameterError(f"Checkpointed(n={self.n!r}, bytes={self.bytes!r}): give one of them, or neither")
        if self.n is not None:
            integer("Checkpointed n", self.n, minimum=0)
        if self.bytes is not None:
            integer("Checkpointed bytes", self.bytes, minimum=1)

    def schedule(self, layout: Layout) -> Schedule:
        """What is kept of a shot."""
        if self.n is not None:
            return with_copies(layout, self.n)
        return leanest(layout) if self.bytes is None else within(layout, self.bytes)

    def background(self, layout, again, pool, left, shots):
        return Checkpoints(layout, again, pool, self.schedule(layout))


@dataclass(frozen=True)
class Auto(Policy):
    """:class:`Full` for as many shots as fit `keep_bytes`, :class:`Checkpointed` for the others: exact.

    This is what ``storage="auto"`` means. The budget is `keep_bytes`, or half of the memory that is free if that is less.
    By default `keep_bytes` is 2 GiB, and on a graphics processor all of its memory that is free.
    Of shots whose histories do not fit, copies of the state are held, and histories are computed again: one extra solve.
    Of shots beyond even that nothing is held, and products with J.H cost two extra solves, those with J one.
    """

    keep_bytes: int | None = field(default=None, kw_only=True)
    fields = True

    def budget(self, on):
        if self.keep_bytes is not None:
            return self.keep_bytes
        device = backend.device(on)
        return KEEP_BYTES if device.host is device else max(KEEP_BYTES, device.free_bytes)

    def background(self, layout, again, pool, left, shots):
        free = pool.room(SAFE)
        left, lean = min(left, free), leanest(layout)
        held, working = lean.held_bytes(layout), lean.working_bytes(layout)
        # the others are to have their checkpoints
        own = left - (shots - 1) * held
        if layout.whole_bytes + working * (shots > 1) <= own:
            return Whole(layout, again, pool)
        return Checkpoints(layout, again, pool, _best(layout, lean, own, left, free))


def _best(layout: Layout, lean: Schedule, own: int, left: int, free: int) -> Schedule:
    """The schedule for a shot whose whole history does not fit.

    Parameters
    ----------
    layout : Layout
    lean : Schedule
        The least memory at one extra solve.
    own, left, free : int
        Bytes that the shot may hold when all others get their share, and when they do not; bytes of memory.
    """
    needed = lean.held_bytes(layout) + lean.working_bytes(layout)
    if needed <= own:
        partly = within(layout, own)
        return partly if partly.again_backward(layout) < WORTH else lean
    if needed <= left:
        return lean
    anew = lean if needed <= free else within(layout, free)
    if layout.buffer_bytes(layout.unit) <= left:
        few = within(layout, left)
        if few.again_backward(layout) <= 1 + anew.again_backward(layout):
            return few  # can be held, and that saves the solve to make it
    return anew


@dataclass(frozen=True)
class Boundary(Policy):
    r"""Keep the background along the edges, and make the rest of it again backward in time: exact to rounding.

    Inside the model a lossless wavefield follows from its last two levels and from its values in a ring along the edges,
    by its own equation read backward in time [1]_, in the same loop over time as the adjoint field. What the derivative
    needs within the absorbing layer is kept as it is (within the ring as well where parameters stand under derivatives,
    as with density), multi-axial or not. At surfaces that mirror waves, and at edges without a layer, nothing is kept; at
    those of solids a strip as at a layer. Memory for a shot: N times the cells of layer and ring for each field and
    factor, for acoustics a sixth to a fifth of N H in a common 2D model (with density about twice as much). Cost: one
    extra solve, of the interior alone, with J.H; with J one of the background, forward. Gradients differ from those of
    :class:`Full` by less than 5e-4 in float32 and 1e-10 in float64.

    Raises
    ------
    ParameterError
        Of a Jacobian or a map with an equation that loses energy, as viscous media do, or with a boundary that acts on the
        whole grid (``Sponge``).

    References
    ----------
    .. [1] Dussaud, E., Symes, W. W., Williamson, P., Lemaistre, L., Singer, P., Denel, B., Cherrett, A. (2008),
       Computational strategies for reverse-time migration, SEG Technical Program Expanded Abstracts, 2267-2271,
       doi:10.1190/1.3059336.
    """

    exactness = "exact to rounding"
    reverses = True
    records = AlongEdges.records

    def background(self, layout, again, pool, left, shots):
        return AlongEdges(layout, again, pool)


@dataclass(frozen=True)
class Disk(Policy):
    """Keep the background at every step of the solver, in files: exact.

    Memory for a shot: that of one block of the history, 64 MiB or so; N H on disk, in files that have no name and go with
    the process. Cost: writing and reading them, no extra solve. Results are those of :class:`Full` to the last bit.

    Parameters
    ----------
    directory : path_like
        Where the files are, on every machine that solves; best a fast disk of its own.
    keep_bytes : int, optional
        Here, how much of the disk is used to keep backgrounds from one product to the next (1 TiB by default).
    """

    directory: str | Path = field(default="")
    keep_bytes: int = field(default=2**40, kw_only=True)
    fields = True

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.directory, str | Path) or not str(self.directory):
            raise ParameterError(f"Disk(directory={self.directory!r}): give a directory for the files")

    def background(self, layout, again, pool, left, shots):
        length = layout.length_within(SEGMENT_BYTES)
        return Coded(layout, again, pool, length, File(layout, Path(self.directory), pool))


@dataclass(frozen=True)
class Compressed(Policy):
    """Keep the background at every step of the solver with fewer bits: approximate.

    Each step of the history is kept as integers, as fractions of its largest value there. Rounding is off by at most half
    a unit, 1.5e-5 of the largest value with 16 bits and 4e-3 with 8. With 10 Hz waves in a rough model that is 6e-5 and
    1e-2 of the history's norm; images of acoustic media are off by 1e-5 and 2e-3, of others by up to 2e-4 and 7e-3 (ten
    times that for sources of white noise, which stand out of the wavefield), data of a rough perturbation by 2e-4 and 6e-2.
    Memory for a shot: N H x bits / 32 (64 in float64).
    Cost: no extra solve; to encode takes up to half of the time of a solve (2D, order 8, one core), to decode hardly any
    more than to read the whole history.

    Parameters
    ----------
    bits : int
        16 or 8.
    keep_bytes : int, optional

    Notes
    -----
    Half-precision floats, at the same size, are four times less accurate and took 25 times as long to convert. The zfp
    compressor made histories seven times smaller at the error of 16 bits, in ten times the time of a solve:
    :class:`Checkpointed` gives more for less.
    """

    bits: int = 16
    exactness = "approximate"

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.bits, int | np.integer) or self.bits not in (8, 16):
            raise ParameterError(f"Compressed(bits={self.bits!r}): must be 16 or 8")

    def background(self, layout, again, pool, left, shots):
        return Coded(layout, again, pool, layout.length_within(SEGMENT_BYTES), Integers(layout, self.bits, pool))


@dataclass(frozen=True)
class _Projected(Policy):
    """Keeps the projection of histories onto a few functions of time."""

    exactness = "approximate"

    @abstractmethod
    def basis(self, layout: Layout) -> NDArray:
        """The functions, in columns, at the rows 0 .. N - 1."""

    def background(self, layout, again, pool, left, shots):
        basis = self.basis(layout)
        # at least as long as there are functions: all coefficients are gone through for each segment
        length = max(layout.length(basis.shape[1]), layout.length_within(SEGMENT_BYTES // 4))
        return Coded(layout, again, pool, length, Basis(layout, basis, pool))


@dataclass(frozen=True)
class Fourier(_Projected):
    r"""Keep the background at a few frequencies only: approximate.

    The history H is replaced by :math:`B B^T H`, its projection onto the cosines and sines of the given frequencies over
    the solver's time axis, with an orthonormal basis B of those, accumulated while the march goes on [1]_ [2]_ [3]_. The
    image is the one that a correlation at these frequencies gives; the Born operator scatters these frequencies only, so
    it is the transpose. Memory for a shot: 2 F H for F frequencies (H less for 0 Hz). Cost: no extra solve; 4 F
    multiplications and additions for each point and step to encode, and as many to decode.

    Parameters
    ----------
    frequencies : sequence of float
        In Hz, below the Nyquist frequency of the solver's step, and at least 1 / T apart on a time axis of length T:
        closer ones cannot be told apart.
    keep_bytes : int, optional

    References
    ----------
    .. [1] Nihei, K. T., Li, X. (2007), Frequency response modelling of seismic waves using finite difference time domain
       with phase sensitive detection (TD-PSD), Geophysical Journal International 169(3), 1069-1078,
       doi:10.1111/j.1365-246X.2006.03262.x.
    .. [2] Sirgue, L., Etgen, J. T., Albertin, U. (2008), 3D frequency domain waveform inversion using time domain finite
       difference methods, 70th EAGE Conference, F022, doi:10.3997/2214-4609.20147683.
    .. [3] Witte, P. A., Louboutin, M., Luporini, F., Gorman, G. J., Herrmann, F. J. (2019), Compressive least-squares
       migration with on-the-fly Fourier transforms, Geophysics 84(5), R655-R672, doi:10.1190/geo2018-0490.1.
    """

    frequencies: Sequence[float] = ()

    def __post_init__(self):
        super().__post_init__()
        try:
            given = [number_or_nan(f) for f in self.frequencies]
        except (TypeError, ValueError):
            given = []
        if not given or not all(0 <= f < inf for f in given):
            raise ParameterError(
                f"Fourier(frequencies={self.frequencies!r}): give one frequency or more, not negative, in Hz"
            )
        object.__setattr__(self, "frequencies", tuple(sorted(given)))

    def basis(self, layout):
        nyquist, resolution = 0.5 / layout.step, 1 / (layout.steps * layout.step)
        if self.frequencies[-1] >= nyquist * (1 - 1e-9):
            raise ParameterError(
                f"Fourier(frequencies): {self.frequencies[-1]:g} Hz is not below the Nyquist frequency of the solver, "
                f"{nyquist:.6g} Hz at a step of {layout.step:.6g} s"
            )
        low = self.frequencies[0]
        if 0 < low < resolution / 2 * (1 - 1e-9):  # it is there as a negative one too
            raise ParameterError(
                f"Fourier(frequencies): {low:g} Hz cannot be told from 0 on the solver's time axis of "
                f"{1 / resolution:.6g} s: take 0, or at least {resolution / 2:.6g} Hz"
            )
        for low, high in zip(self.frequencies, self.frequencies[1:], strict=False):
            if high - low < resolution * (1 - 1e-9):
                raise ParameterError(
                    f"Fourier(frequencies): {low:g} and {high:g} Hz cannot be told apart on the solver's time axis of "
                    f"{1 / resolution:.6g} s: take frequencies at least {resolution:.6g} Hz apart"
                )
        angles = 2 * np.pi * layout.step * np.outer(np.arange(layout.steps), self.frequencies)
        sines = np.sin(angles[:, [f > 0 for f in self.frequencies]])
        return np.linalg.qr(np.concatenate([np.cos(angles), sines], axis=1))[0]


@dataclass(frozen=True)
class Probed(_Projected):
    r"""Keep sums of the background over time with random signs: approximate, but right in the mean.

    The history H is replaced by :math:`Z Z^T H / r` with a random N x r matrix Z of entries +1 and -1 [1]_ [2]_. Since
    :math:`E[Z Z^T / r] = I`, data and images are right in the mean over seeds, and linear in the background. Where the
    exact image is :math:`\sum_n w_n h_n`, the variance of the estimate is
    :math:`(|w|^2 |h|^2 + (w \cdot h)^2 - 2 \sum_n w_n^2 h_n^2) / r`: the error falls with the square root of r, and is
    larger than the image where the two fields are long but hardly alike. Memory for a shot: r H. Cost: no extra solve; 2 r
    multiplications and additions for each point and step to encode, and as many to decode. All shots take the same Z;
    another seed in each iteration of an inversion makes its errors independent.

    Parameters
    ----------
    r : int
        Number of sums.
    seed : int
        Of the random numbers.
    keep_bytes : int, optional

    References
    ----------
    .. [1] Louboutin, M., Herrmann, F. J. (2021), Ultra-low memory seismic inversion with randomized trace estimation, SEG
       Technical Program Expanded Abstracts, 787-791, doi:10.1190/segam2021-3584072.1.
    .. [2] Louboutin, M., Herrmann, F. J. (2024), Wave-based inversion at scale on graphical processing units with
       randomized trace estimation, Geophysical Prospecting 72(2), 353-366, doi:10.1111/1365-2478.13405 (arXiv:2201.06914).
    """

    r: int = 32
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        integer("Probed r", self.r, minimum=1)
        integer("Probed seed", self.seed, minimum=0)

    def basis(self, layout):
        signs = np.random.default_rng(self.seed).integers(0, 2, (layout.steps, self.r), np.int8)
        return (2.0 * signs - 1.0) / np.sqrt(self.r)


def policy(storage) -> Policy:
    """The policy meant by an argument `storage`: a policy, or "auto"."""
    if isinstance(storage, Policy):
        return storage
    if isinstance(storage, str) and storage == "auto":
        return Auto()
    raise ParameterError(f"storage={storage!r}: use 'auto' or a policy such as seisops.storage.Full()")
