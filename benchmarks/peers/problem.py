"""What every code is given: a grid, a model, points on its nodes, a wavelet, a time step."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SLOWEST, FASTEST = 1500.0, 4000.0  # m/s
LAYERS = 6
ORDER = 8  # of the derivatives in space, for every code
SMOOTH = 6.0  # cells: the starting model is the true one, smoothed
MUTE = 10  # cells at the edges without a perturbation
DEPTH = 12  # cells from the top to sources and receivers
BARE = 2000.0  # m/s, below which rock is isotropic and loses nothing: sources and receivers are in such rock

#: What a medium is made of, which is also what gradients are by. Names are those of seisops.
MEDIA = {
    "acoustic": ("m",),
    "density": ("vp", "rho"),
    "elastic": ("vp", "vs", "rho"),
    "VTI": ("vp", "epsilon", "delta"),
    "viscoacoustic": ("m", "qp"),
    "TTI": ("vp", "epsilon", "delta", "theta"),
}

#: What deepwave wants a bound of the velocity to be above the largest one, since its own bound is.
MARGIN = {"elastic": 1.05, "VTI": 1.05}


def beyond(v: NDArray) -> NDArray:
    """How much a rock of some velocity in m/s is not like water, from 0 to 1."""
    return np.clip((v - BARE) / (FASTEST - BARE), 0.0, 1.0)


#: Every parameter follows from the velocity in m/s: density by Gardner, Gardner & Gregory (1974, doi:10.1190/1.1440465), in
#: kg/m3; squared slowness in s2/m2, at low frequencies where there are losses; angles in radians.
RELATIONS = {
    "m": lambda v: v**-2.0,
    "vp": lambda v: v,
    "vs": lambda v: v / 1.8,
    "rho": lambda v: 310.0 * v**0.25,
    "epsilon": lambda v: 0.2 * beyond(v),
    "delta": lambda v: 0.1 * beyond(v),
    "theta": lambda v: 0.6 * beyond(v),
    "qp": lambda v: 1 / np.maximum(beyond(v) / 40.0, 1e-6),
}


@dataclass(frozen=True)
class Problem:
    """A survey on a regular grid.

    Attributes
    ----------
    shape : tuple of int
        Cells along x, [y,] z.
    spacing : float
        m.
    samples : int
        Of sources and data; solvers take one step less.
    step : float
        s, of the data and of every solver.
    shots : int
    receivers : int
        Along each horizontal axis.
    f0 : float
        Peak frequency of the Ricker wavelet, Hz.
    velocity : float, optional
        m/s of a homogeneous model; by default the model is layered.
    fastest : float, optional
        m/s for which absorbing layers are made; by default the largest velocity.
    source : tuple of int, optional
        Cell of the source of a single shot; by default below the middle of the top.
    every : int, optional
        Receivers in every so many cells of the whole model instead of along its top.
    margin : int
        Cells at the edges that such receivers leave out.
    medium : str
        Of `MEDIA`.
    """

    shape: tuple[int, ...]
    spacing: float
    samples: int
    step: float
    shots: int = 1
    receivers: int = 1
    f0: float = 8.0
    velocity: float | None = None
    fastest: float | None = None
    source: tuple[int, ...] | None = None
    every: int | None = None
    margin: int = 0
    medium: str = "acoustic"

    def __post_init__(self):
        for name in ("shape", "source"):
            if isinstance(getattr(self, name), list):  # as JSON has it
                object.__setattr__(self, name, tuple(getattr(self, name)))

    def fields(self) -> dict:
        return asdict(self)

    def with_(self, **changes) -> Problem:
        return replace(self, **changes)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def volume(self) -> float:
        """Of a cell, in m2 or m3."""
        return self.spacing**self.ndim

    @property
    def limit(self) -> float:
        """Largest velocity in m/s, of all directions and frequencies, for layers and time steps."""
        v = self.fastest or self.velocity or FASTEST
        if "epsilon" in self.names:
            v = float(v * np.sqrt(1 + 2 * RELATIONS["epsilon"](v)))
        if "qp" in self.names:  # of a standard linear solid that was relaxed at v
            loss = 1 / RELATIONS["qp"](v)
            v = float(v * (np.sqrt(1 + loss**2) + loss))
        return v * MARGIN.get(self.medium, 1.0)

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters of the medium."""
        return MEDIA[self.medium]

    def model(self, velocity: NDArray) -> dict[str, NDArray]:
        """Parameters of the medium by name, float32, where the velocity is this."""
        return {name: RELATIONS[name](velocity.astype(float)).astype(np.float32) for name in self.names}

    @property
    def true(self) -> NDArray:
        """Velocity in m/s."""
        if self.velocity:
            return np.full(self.shape, self.velocity, np.float32)
        layer = np.arange(self.shape[-1]) * LAYERS // self.shape[-1]
        column = np.linspace(SLOWEST, FASTEST, LAYERS)[layer]
        return np.broadcast_to(column, self.shape).astype(np.float32)

    @property
    def start(self) -> NDArray:
        """The true velocity, smoothed: where gradients are computed."""
        sigma = [0.0] * (self.ndim - 1) + [SMOOTH]
        return gaussian_filter(self.true, sigma, mode="nearest").astype(np.float32)

    @property
    def perturbation(self) -> NDArray:
        """Of the squared slowness in s2/m2, from the starting model to the true one; none near the edges."""
        dm = np.zeros(self.shape, np.float32)
        inner = (slice(MUTE, -MUTE),) * self.ndim
        dm[inner] = self.true[inner].astype(float) ** -2 - self.start[inner].astype(float) ** -2
        return dm

    @property
    def sources(self) -> NDArray:
        """Cells, (shot, source, axis)."""
        if self.source:
            return np.array([[self.source]])
        middle = [n // 2 for n in self.shape[1:-1]]
        n = self.shape[0]
        x = [n // 2] if self.shots == 1 else np.linspace(n // 20, n - 1 - n // 20, self.shots).astype(int)
        return np.array([[(i, *middle, min(DEPTH, self.shape[-1] // 4))] for i in x])

    @property
    def places(self) -> NDArray:
        """Cells of the receivers, for all shots: (receiver, axis)."""
        # velocities are half a cell after the nodes, and codes have none after the last one
        shape = [n - (self.medium == "elastic") for n in self.shape]
        if self.every:
            axes = [np.arange(self.margin, n - self.margin, self.every) for n in shape]
        else:
            axes = [np.linspace(0, n - 1, self.receivers).astype(int) for n in shape[:-1]]
            axes.append(np.array([min(DEPTH, self.shape[-1] // 4)]))
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.ndim)

    @property
    def wavelet(self) -> NDArray:
        """Source strength (shot, source, time): a Ricker wavelet, late enough to begin at rest."""
        a = (np.pi * self.f0 * (np.arange(self.samples) * self.step - 1.5 / self.f0)) ** 2
        return np.tile(((1 - 2 * a) * np.exp(-a)).astype(np.float32), (self.shots, 1, 1))

    def wider(self, cells: int) -> Problem:
        """The same points in a homogeneous model that is larger by so many cells on each side."""
        return self.with_(
            shape=tuple(n + 2 * cells for n in self.shape),
            source=tuple(i + cells for i in self.source),
            margin=self.margin + cells,
        )

    def inner(self, cells: int = MUTE) -> tuple[slice, ...]:
        """The cells of the model away from its edges."""
        return (slice(cells, -cells),) * self.ndim
