"""Wave equations that users might write, for what can be held against physics, and rough media to run waves through."""

from functools import cache

import numpy as np
from physics import ElasticWaves, TiltedWaves, half

from seisops import TTI, Acoustic, Elastic, ParameterError, Quantity, ViscoAcoustic, WaveEquation


class VelocityPressure(WaveEquation):
    """Acoustic waves of first order, staggered in space and time (Virieux 1984); kappa is rho c^2, b is 1/rho."""

    parameters = ("kappa", "b")
    fields = ("vx", "vz", "p")
    source = {"p": 1.0}
    observe = {"p": 1.0}
    staggering = {"vx": (0.5, 0.0), "vz": (0.0, 0.5)}
    surface = {"vx": -1, "vz": 1, "p": -1}
    leapfrog = True

    def residual(self, fields, parameters):
        *velocity, p = fields
        kappa, b = parameters
        axes, order, dt = p.space_dimensions, p.space_order, p.grid.stepping_dim.spacing
        flow = list(zip(velocity, axes, strict=True))
        divergence = sum(half(v.forward, d, order=order, after=False) for v, d in flow)
        return (
            *((v.forward - v) / dt + half(b, d) * half(p, d, order=order) for v, d in flow),
            (p.forward - p) / dt / kappa + divergence,
        )

    @property
    def velocity(self):
        c = self.coefficients()
        return np.sqrt(c["kappa"] * c["b"])


class VelocityPressure3(VelocityPressure):
    """The same in three dimensions."""

    fields = ("vx", "vy", "vz", "p")
    staggering = {"vx": (0.5, 0.0, 0.0), "vy": (0.0, 0.5, 0.0), "vz": (0.0, 0.0, 0.5)}
    surface = {"vx": -1, "vy": -1, "vz": 1, "p": -1}


@cache
def between(drive: str, heard: str, ndim: int = 2) -> type[WaveEquation]:
    """Waves of first order in which one field is driven and one is observed."""
    base = VelocityPressure if ndim == 2 else VelocityPressure3
    return type(f"{drive}_to_{heard}_{ndim}D", (base,), {"source": {drive: 1.0}, "observe": {heard: 1.0}})


class VerticalAxis(WaveEquation):
    """Two fields at the nodes: pseudo-acoustic waves with a vertical axis of symmetry (Zhou, Zhang & Bloor 2006)."""

    parameters = ("m", "epsilon", "delta")
    fields = ("p", "r")
    source = {"p": 1.0, "r": 1.0}
    observe = {"p": 1.0}
    surface = {"p": -1, "r": -1}
    leapfrog = True

    def residual(self, fields, parameters):
        p, r = fields
        m, epsilon, delta = parameters
        along, axial, strength = p.dx2, r.dz2, (1 + 2 * delta) ** 0.5
        return (
            m * p.dt2 - (1 + 2 * epsilon) * along - strength * axial,
            m * r.dt2 - strength * along - axial,
        )

    @property
    def velocity(self):
        c = self.coefficients()
        return np.sqrt((1 + 2 * c["epsilon"]) / c["m"])


class Slope(WaveEquation):
    """Pressure and its vertical derivative at the nodes, which is even at a free surface and follows without a step."""

    parameters = ("m",)
    fields = ("p", "g")
    observe = {"g": 1.0}
    surface = {"p": -1, "g": 1}
    leapfrog = True

    def residual(self, fields, parameters):
        p, g = fields
        return (parameters.m * p.dt2 - p.laplace, g - p.dz)

    @property
    def velocity(self):
        return self.coefficients()["m"] ** -0.5


class Lid(WaveEquation):
    """Pressure under a rigid surface, where it is even."""

    parameters = ("m",)
    fields = ("p",)
    surface = {"p": 1}
    leapfrog = True

    def residual(self, fields, parameters):
        return (parameters.m * fields.p.dt2 - fields.p.laplace,)

    @property
    def velocity(self):
        return self.coefficients()["m"] ** -0.5


# ---- given by something else than what the residual is written with


class ByVelocity(WaveEquation):
    """Damped waves, with no more said than how m and vp follow from each other."""

    parameters = ("m", "r")
    relations = {"m": lambda vp: vp**-2}
    inverses = {"vp": lambda m: m**-0.5}
    leapfrog = True

    def residual(self, fields, parameters):
        return (parameters.m * fields.u.dt2 + parameters.r * fields.u.dtc - fields.u.laplace,)

    def speeds(self):
        return self.vp, self.vp


class Rock(ElasticWaves):
    """Elastic waves by velocities and density: three coefficients that follow from three parameters."""

    given = ("vp", "vs", "rho")
    relations = {
        "lam": lambda vp, vs, rho: rho * (vp**2 - 2 * vs**2),
        "mu": lambda vs, rho: rho * vs**2,
        "b": lambda rho: 1 / rho,
    }
    inverses = {
        "vp": lambda lam, mu, b: ((lam + 2 * mu) * b) ** 0.5,
        "vs": lambda mu, b: (mu * b) ** 0.5,
        "rho": lambda b: 1 / b,
    }
    quantities = {
        "vp": Quantity("m/s", (50.0, 20e3), positive=True, others={"km/s": 1e3}),
        "vs": Quantity("m/s", (10.0, 12e3), positive=True, others={"km/s": 1e3}),
    }

    def speeds(self):
        return self.vs, self.vp

    velocity = WaveEquation.velocity


class Tilted(TiltedWaves):
    """Tilted waves by velocity or slowness, isotropic unless something is said."""

    given = (("vp", "m"), "epsilon", "delta", "theta")
    relations, inverses = ByVelocity.relations, ByVelocity.inverses
    defaults = {"epsilon": 0.0, "delta": 0.0, "theta": 0.0}


def frequency(f0):
    if not f0 > 0:
        raise ParameterError(f"f0={f0!r}: a positive number in Hz")
    return float(f0)


class Lossy(WaveEquation):
    """Damped waves by velocity or slowness at a frequency and a quality factor, with density if there is one."""

    parameters = ("relaxed", "r", "b")
    given = (("vp", "m"), "qp", "f0", "rho", "law")
    relations = {
        "m": lambda vp: vp**-2,
        "relaxed": lambda m, qp: m * (1 + 1 / qp),
        "r": lambda m, qp, f0: 6 * f0 * m / qp,
        "b": lambda rho: 1 / rho,
    }
    inverses = {
        "vp": lambda m: m**-0.5,
        "m": lambda relaxed, qp: relaxed / (1 + 1 / qp),
        "qp": lambda relaxed, r, f0: 6 * f0 * relaxed / r - 1,
        "rho": lambda b: 1 / b,
    }
    settings = {"f0": frequency, "law": int}
    defaults = {"rho": None, "law": 1}
    leapfrog = True

    def residual(self, fields, parameters):
        """What is lost goes by a first or second derivative, for the sake of a setting that changes the equation."""
        u, b = fields.u, getattr(parameters, "b", 1)
        lost = u.dtc if self.law == 1 else u.dt2
        return (b * (parameters.relaxed * u.dt2 + parameters.r * lost) - b * u.laplace,)

    def speeds(self):
        return self.vp, self.vp


# ---- rough media: velocity and density in every cell, and what the equations make of them


def blocks(grid, choices, rng, size=5):
    """One of some (vp, rho) for each block of cells."""
    which = rng.integers(len(choices), size=[-(-n // size) for n in grid.shape])
    for axis, n in enumerate(grid.shape):
        which = np.repeat(which, size, axis).take(range(n), axis)
    vp, rho = np.asarray(choices, float).T
    return vp[which], rho[which]


def smooth(grid, rng, rounds=20):
    """Numbers from 0 to 1 that change slowly."""
    a = rng.uniform(size=grid.shape)
    for _ in range(rounds):
        for axis in range(a.ndim):
            edges = [(int(d == axis),) * 2 for d in range(a.ndim)]
            padded = np.pad(a, edges, mode="edge")
            n = a.shape[axis]
            a = sum(padded.take(range(i, i + n), axis) for i in range(3)) / 3
    return (a - a.min()) / np.ptp(a)


WATER, AIR, STEEL = (1500.0, 1000.0), (340.0, 1.2), (5900.0, 7850.0)


def water_air_steel(grid, rng):
    return blocks(grid, [WATER, AIR, STEEL], rng)


def water_under_air(grid, rng):
    deep = np.arange(grid.shape[-1]) >= grid.shape[-1] // 3
    return tuple(np.broadcast_to(np.where(deep, w, a), grid.shape) for w, a in zip(WATER, AIR, strict=True))


def density_alone(grid, rng):
    return np.full(grid.shape, 2000.0), rng.choice([1000.0, 8000.0], grid.shape)


def velocity_alone(grid, rng):
    return rng.choice([1500.0, 6000.0], grid.shape), np.full(grid.shape, 1000.0)


def correlated(grid, rng):
    """The fast is dense, cell by cell."""
    x = rng.uniform(size=grid.shape)
    return 1500.0 * 4.0**x, 1000.0 * 8.0**x


def anticorrelated(grid, rng):
    """The fast is light."""
    x = rng.uniform(size=grid.shape)
    return 1500.0 * 4.0**x, 8000.0 / 8.0**x


def smooth_with_a_layer(grid, rng):
    vp, rho = 1500.0 + 1500.0 * smooth(grid, rng), 1000.0 + 1000.0 * smooth(grid, rng)
    layer = slice(grid.shape[-1] // 2, grid.shape[-1] // 2 + 3)
    vp[..., layer], rho[..., layer] = 5000.0, 2700.0
    return vp, rho


ROUGH = {
    f.__name__.replace("_", " "): f
    for f in (
        water_air_steel,
        water_under_air,
        density_alone,
        velocity_alone,
        correlated,
        anticorrelated,
        smooth_with_a_layer,
    )
}


def acoustic(grid, vp, rho):
    return Acoustic(grid, vp=vp)


def dense(grid, vp, rho):
    return Acoustic(grid, vp=vp, rho=rho, ranges={"rho": (1.0, 25000.0)})  # air, too


def first_order(grid, vp, rho):
    return (VelocityPressure if grid.ndim == 2 else VelocityPressure3)(grid, kappa=rho * vp**2, b=1 / rho)


def vertical_axis(grid, vp, rho):
    """Anisotropic where it is dense, as sediments under water are."""
    x = np.clip(np.log(rho / 1000.0) / np.log(8.0), 0.0, 1.0)
    return VerticalAxis(grid, m=vp**-2.0, epsilon=0.2 * x, delta=0.1 * x)


def slope(grid, vp, rho):
    return Slope(grid, m=vp**-2.0)


def lid(grid, vp, rho):
    return Lid(grid, m=vp**-2.0)


def elastic(grid, vp, rho):
    """Rock where it is fast, fluids where it is slow."""
    return Elastic(grid, vp, np.where(vp > 1500.0, 0.55 * vp, 0.0), rho, ranges={"rho": (1.0, 25000.0)})


def vti(grid, vp, rho, **angles):
    """Anisotropic where it is dense."""
    x = np.clip(np.log(rho / 1000.0) / np.log(8.0), 0.0, 1.0)
    return TTI(grid, vp, 0.2 * x, 0.1 * x, **angles)


def tti(grid, vp, rho):
    """With an axis of its own in every cell."""
    return vti(grid, vp, rho, theta=np.random.default_rng(6).uniform(-1.5, 1.5, grid.shape))


def viscous(grid, vp, rho):
    """Lossy where it is light."""
    return ViscoAcoustic(grid, vp, 10.0 + 50.0 * np.clip(rho / 8000.0, 0.0, 1.0), f0=15.0, mechanisms=2)


#: By name, equations as functions of a grid, velocity and density.
EQUATIONS = {
    f.__name__.replace("_", " "): f
    for f in (acoustic, dense, first_order, vertical_axis, slope, lid, elastic, vti, tti, viscous)
}
