"""Long records in rough media: what has been put in never grows, and what has left never comes back.

A scheme can agree with its transpose to rounding and still grow, slowly, from one corner of its layer.
"""

import numpy as np
import pytest
from own_media import EQUATIONS, ROUGH, anticorrelated, smooth

import seisops as so

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

SHAPE, SPACING = (41, 31), 10.0
BOUNDARIES = {"pml": so.PML(), "sponge": so.Sponge(cells=10), "none": None}

#: Of the derivatives, lower than the default for the sake of time.
ORDER = 4
#: Steps that a source lasts.
BURST = 200
#: By how much waves may spread beyond what is heard while it lasts.
GROWTH = 4.0


def step_of(medium, boundary, surface):
    """The largest step that is taken by default, in seconds."""
    waves = so.Wavefield(medium.grid, so.Time(2, 1e-6), dtype="float64")
    A = so.Modeling(waves, medium, boundary=boundary, free_surface=surface, space_order=ORDER)
    return A.discretisation.largest_step


def points(grid, boundary, surface, n, rng):
    """Points anywhere, some at the corners of the model and, if there is a layer, of the layer, and in it."""
    low, high = np.array(grid.extent, float).T
    cells = boundary.cells if boundary else 0
    outer = low - cells * SPACING, high + cells * SPACING
    if surface:
        outer[0][-1] = low[-1] = 0.5 * SPACING  # on the surface some fields are not heard
    some = rng.uniform(*outer, (n, grid.ndim))
    corners = [np.array(np.meshgrid(*zip(*box, strict=True))).reshape(grid.ndim, -1).T for box in ((low, high), outer)]
    return np.concatenate([some, *corners]), cells * SPACING


def levels(name, vp, rho, boundary, surface, steps, seed=0):
    """Root mean square of what is heard while a source lasts, and in ten parts of the record after that.

    Pressure is divided by the square root of the bulk modulus where it is heard, as it is in energies.
    """
    rng = np.random.default_rng(seed)
    grid = so.Grid(vp.shape, SPACING)
    medium = EQUATIONS[name](grid, vp, rho)
    step = step_of(medium, boundary, surface)
    waves = so.Wavefield(grid, so.Time(steps + BURST, step), dtype="float64")
    A = so.Modeling(
        waves, medium, boundary=boundary, free_surface=surface, space_order=ORDER, substeps=1, dispersion=False
    )
    where, margin = points(grid, boundary, surface, 12, rng)
    Ps = so.Projection(waves, where, margin=margin)
    Pr = so.Projection(waves, where, margin=margin)
    q = Ps.range.zeros()
    # every frequency that the steps can carry but the lowest: with neither a sum nor a moment, it fills no closed box
    noise = np.zeros((*q.shape[:-1], BURST))
    noise[..., 4:-4] = rng.standard_normal((*q.shape[:-1], BURST - 8))
    q[..., 2:BURST] = np.diff(noise, 2)
    modulus = vp**2 * (rho if name in ("dense", "first order", "elastic") else 1.0)
    nearest = np.clip(np.rint(where / SPACING).astype(int), 0, np.array(vp.shape) - 1)
    data = (Pr * A * Ps.H @ q)[0] / np.sqrt(modulus[tuple(nearest.T)])[:, None]
    parts = [data[:, :BURST], *np.split(data[:, BURST:], 10, axis=1)]
    with np.errstate(over="ignore"):
        return np.array([np.sqrt(np.mean(part**2)) for part in parts])


#: Every equation, every boundary with and without a free surface.
CASES = [
    ("acoustic", "pml", False),
    ("dense", "pml", True),
    ("dense", "none", False),
    ("first order", "pml", False),
    ("first order", "sponge", True),
    ("vertical axis", "sponge", True),
    ("slope", "none", True),
    ("lid", "pml", True),
]
#: What waves without density see of a medium, and what only those with density do.
VELOCITIES = ("water air steel", "velocity alone", "smooth with a layer")
DENSITIES = ("water air steel", "density alone", "anticorrelated", "correlated")

GRID = so.Grid(SHAPE, SPACING)


@pytest.mark.parametrize(
    ("name", "boundary", "surface", "rough"),
    [(*case, rough) for case in CASES for rough in (DENSITIES if case[0] in ("dense", "first order") else VELOCITIES)],
)
def test_nothing_grows(name, boundary, surface, rough):
    vp, rho = ROUGH[rough](GRID, np.random.default_rng(1))
    found = levels(name, vp, rho, BOUNDARIES[boundary], surface, steps=10_000)
    assert 0 < found[1:].max() < GROWTH * found[0], found


#: Beyond acoustics, with the layer that they have by default; elastic ones with what their densities ask for.
BEYOND = [
    ("elastic", "anticorrelated", so.PML()),
    ("elastic", "correlated", so.PML()),
    ("elastic", "water under air", so.PML()),
    ("elastic", "water air steel", so.PML()),
    ("elastic", "water air steel", None),
    ("vti", "water air steel", so.PML()),
    ("vti", "correlated", so.PML()),
    ("tti", "water air steel", so.PML()),
]


@pytest.mark.parametrize(("name", "rough", "boundary"), BEYOND)
def test_nothing_grows_beyond_acoustics(name, rough, boundary):
    vp, rho = ROUGH[rough](GRID, np.random.default_rng(1))
    found = levels(name, vp, rho, boundary, False, steps=5_000)
    assert 0 < found[1:].max() < GROWTH * found[0], found


@pytest.mark.parametrize("seed", [0, 2, 4, 6])
def test_elastic_waves_grow_in_a_layer_that_is_not_multiaxial(seed):
    """A negative control: in random cells, where the default decays."""
    rng = np.random.default_rng(seed)
    grid = so.Grid((60, 50), SPACING)
    vp, rho = rng.uniform(1800.0, 4000.0, grid.shape), rng.uniform(1500.0, 2600.0, grid.shape)
    medium = so.Elastic(grid, vp, vp * rng.uniform(0.3, 0.65, grid.shape), rho)
    plain, default = (late_over_all(medium, boundary) for boundary in (so.PML(multiaxial=0.0), so.PML()))
    # what overflows has grown, too
    assert default < 0.1 and not plain <= 10 * default, (plain, default)


@pytest.mark.filterwarnings("ignore:.*no longer finite:seisops.AccuracyWarning")
@pytest.mark.parametrize("cells", [8, 12])
def test_elastic_waves_do_not_grow_in_random_densities(cells):
    """Where they did with as much damping along the layer as rock of one density asks for."""
    rng = np.random.default_rng(12)
    grid = so.Grid((40, 40), SPACING)
    vp = rng.uniform(1800.0, 4000.0, grid.shape)
    vs = vp * rng.uniform(0.3, 0.65, grid.shape)
    medium = so.Elastic(grid, vp, vs, rng.uniform(1000.0, 3000.0, grid.shape))
    assert medium.replace(rho=2000.0).multiaxial == 0.05 and 0.25 < medium.multiaxial < 0.35
    default, as_in_rock = (
        late_over_all(medium, boundary) for boundary in (so.PML(cells), so.PML(cells, multiaxial=0.05))
    )
    assert default < 0.1 and not as_in_rock <= 10 * default, (default, as_in_rock)


def test_what_overflows_is_told():
    rng = np.random.default_rng(0)
    grid = so.Grid((30, 25), SPACING)
    vp = rng.choice([340.0, 5900.0], grid.shape)
    medium = so.Elastic(grid, vp, 0.55 * vp, np.where(vp > 1000, 7800.0, 1000.0))
    with pytest.warns(so.AccuracyWarning, match=r"no longer finite in float32.*try PML\(multiaxial=0.3\) or a Sponge"):
        assert not np.isfinite(late_over_all(medium, so.PML(multiaxial=0.0), steps=4000))


@pytest.mark.parametrize("storage", [so.storage.Full(), so.storage.Checkpointed(n=2), so.storage.Boundary()])
def test_backgrounds_that_overflow_are_told(storage):
    """Of which nothing is read: what is not finite is the image."""
    waves = so.Wavefield(so.Grid((30, 25), SPACING), so.Time(60, 0.002))
    A = so.Modeling(waves, so.Acoustic(waves.grid, vp=2000.0))
    F = so.Projection(waves, [(100.0, 60.0)]) * A * so.Projection(waves, [(150.0, 60.0)]).H
    J = so.Jacobian(F, np.full(F.domain.shape, 3e38, np.float32), storage=storage)
    with pytest.warns(so.AccuracyWarning, match="no longer finite in float32"):
        assert not np.isfinite(J.H @ F.range.random(0)).all()


def test_lossy_waves_do_not_grow():
    vp, rho = ROUGH["anticorrelated"](GRID, np.random.default_rng(1))
    assert late_over_all(EQUATIONS["viscous"](GRID, vp, rho), so.PML()) < 1e-3


def late_over_all(medium, boundary, steps=6000):
    """The largest of the last tenth of a record, over the largest of all, of waves in the band of a wavelet."""
    waves = so.Wavefield(medium.grid, so.Time(steps, 0.004))
    low, high = np.array(medium.grid.extent, float).T
    points = np.random.default_rng(1).uniform(low + 30.0, high - 30.0, (40, 2))
    A = so.Modeling(waves, medium, boundary)
    F = so.Projection(waves, points) * A * so.Projection(waves, [0.5 * high]).H
    data = np.abs(F @ so.ricker(waves.time, 12.0)[None, None])[0].max(axis=0)
    return data[-steps // 10 :].max() / data.max()


@pytest.mark.slow
@pytest.mark.parametrize("rough", ["water under air", "velocity alone", "smooth with a layer"])
def test_nothing_grows_in_twice_the_time(rough):
    vp, rho = ROUGH[rough](GRID, np.random.default_rng(2))
    found = levels("dense", vp, rho, so.PML(), True, steps=20_000)
    assert 0 < found[1:].max() < GROWTH * found[0], found


@pytest.mark.slow
def test_nothing_grows_in_three_dimensions():
    """Contrasts of eight in density and of four in velocity, from cell to cell."""
    vp, rho = anticorrelated(so.Grid((11, 10, 9), SPACING), np.random.default_rng(3))
    found = levels("dense", vp, rho, so.PML(), False, steps=20_000)
    assert 0 < found[1:].max() < GROWTH * found[0], found


@pytest.mark.parametrize(
    ("name", "boundary", "surface"),
    [
        ("acoustic", "pml", False),
        ("dense", "pml", True),
        ("first order", "pml", False),
        ("lid", "pml", True),
    ],
)
def test_nothing_comes_back(name, boundary, surface):
    """As in a domain too large for echoes, whose medium goes on as it is at the edges."""
    rng, margin, h = np.random.default_rng(4), 55, SPACING
    x = smooth(GRID, rng)
    vp, rho = 1500.0 + 1000.0 * x, 1000.0 + 1000.0 * smooth(GRID, rng)
    top = 0 if surface else margin
    around = ((margin, margin), (top, margin))
    large = tuple(np.pad(a, around, mode="edge") for a in (vp, rho))
    origin = h * np.array([margin, top])
    z = 0.5 * h if surface else 0.0
    edges = np.array([[0.0, z], [400.0, z], [0.0, 300.0], [400.0, 300.0], [200.0, 300.0], [0.0, 150.0], [400.0, 140.0]])
    inside = rng.uniform([0.0, z], [400.0, 300.0], (5, 2))

    def record(vp, rho, at):
        grid, time = so.Grid(vp.shape, h), so.Time(240, 0.002)
        waves = so.Wavefield(grid, time, dtype="float64")
        A = so.Modeling(
            waves,
            EQUATIONS[name](grid, vp, rho),
            boundary=BOUNDARIES[boundary],
            free_surface=surface,
            space_order=ORDER,
        )
        Ps = so.Projection(waves, at + [[263.0, 104.0]])
        q = so.ricker(time, f0=15.0, delay=0.08)[None, None]
        return (so.Projection(waves, at + np.concatenate([edges, inside])) * A * Ps.H @ q)[0]

    small, exact = record(vp, rho, np.zeros(2)), record(*large, origin)
    worst = np.abs(small - exact).max(axis=1) / np.abs(exact).max(axis=1)
    assert worst.max() < 1e-2, worst


@pytest.mark.parametrize("angles", ["of the model", "random"])
def test_nothing_grows_in_a_tilted_model_of_rock(data, angles):
    """BG Compass with Thomsen parameters, below a free surface, in 20,000 steps at the default order."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(data / "BGCompass_tti.jld") as file:
        m, epsilon, delta = (np.array(file[name][:]).T for name in ("m", "epsilon", "delta"))
        theta = file[file["theta"][()][0]][:]
    grid, rng = so.Grid(m.shape, 12.5), np.random.default_rng(0)
    if angles == "random":
        theta = rng.uniform(-np.pi / 2, np.pi / 2, m.shape)
    waves = so.Wavefield(grid, so.Time(10001, 0.002))
    medium = so.TTI(grid, m=1e-6 * m, epsilon=epsilon, delta=delta, theta=theta)
    A = so.Modeling(waves, medium, free_surface=True, substeps=2)
    where = rng.uniform([0.0, 0.0], [4000.0, 2100.0], (60, 2))
    F = so.Projection(waves, where) * A * so.Projection(waves, [(2000.0, 25.0)]).H
    peaks = np.abs(F @ so.ricker(waves.time, 10.0)[None, None])[0].max(axis=0)[:10000].reshape(10, -1).max(axis=1)
    # waves of no speed stay where angles differ from cell to cell
    assert peaks[-1] < 1.2 * peaks[2] and peaks[-1] < (0.02 if angles == "of the model" else 0.3) * peaks[0], peaks
