"""Arrays of a device go in and come out, and nothing of their size goes by the host: with arrays that refuse to."""

from contextlib import nullcontext

import device_arrays as xp
import numpy as np
import pytest
from device_arrays import Walled

import seisops as so
from seisops.engine import backend
from seisops.errors import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")


@pytest.fixture
def card(kernels, settled, monkeypatch):
    """A device named "host" whose arrays are behind a wall."""
    out, real = Walled(kernels), backend.device
    monkeypatch.setattr(backend, "device", lambda name: out if name == "host" else real(name))
    so.memory.forget()
    with xp.known():
        yield out
    so.memory.forget()


def modeling(device, dtype="float64", shape=(20, 17), surface=False, shots=2, **more):
    grid, rng = so.Grid(shape, 10.0), np.random.default_rng(0)
    waves = so.Wavefield(grid, so.Time(25, 0.002), shots=shots, dtype=dtype, device=device)
    far = np.array(grid.extent)[:, 1]
    medium = so.Acoustic(grid, vp=rng.uniform(1500.0, 2500.0, shape), **more)
    A = so.Modeling(waves, medium, so.PML(cells=3), surface, space_order=4)
    Pr = so.Projection(waves, [0.2 * far, 0.77 * far, 0.5 * far + 3])
    return Pr, A, so.Projection(waves, [0.6 * far + 1])


def products(device, make, there):
    """What comes of an expression and its adjoint, given arrays here or `there`."""
    F = make(device)
    q, y = F.domain.random(1), F.range.random(2)
    if not there:
        return F @ q, F.H @ y
    q, y = xp.asarray(q), xp.asarray(y)
    xp.crossed.clear()
    found = F @ q, F.H @ y
    assert all(type(a) is xp.ndarray for a in found)
    out = [shape for way, shape in xp.crossed if way == "out"]
    assert all(np.prod(shape) <= 32 for shape in out), out  # one signal, looked at once for warnings
    return [xp.asnumpy(a) for a in found]


def read_at_points(device):
    Pr, A, Ps = modeling(device)
    return Pr * A * Ps.H


def density_below_a_surface(device):
    Pr, A, Ps = modeling(device, surface=True, rho=1500.0)
    return Pr * A * Ps.H


def extended_source(device):
    Pr, A, _ = modeling(device)
    return Pr * A * so.Wavelet(A.domain, so.ricker(A.domain.time, 40.0)).H


def snapshots(device):
    _, A, Ps = modeling(device)
    return so.Snapshots(A.domain, A.domain.time.samples[4::4]) * A * Ps.H


def whole_wavefield(device):
    _, A, Ps = modeling(device)
    return A * Ps.H


def stacks_and_sums(device):
    Pr, A, Ps = modeling(device)
    mask = so.operators.Pointwise(Pr.range, np.arange(25.0))
    return so.VStack([2.0 * Pr * A * Ps.H + mask * Pr * A * Ps.H, so.Snapshots(A.domain, [0.02]) * A * Ps.H])


def elastic(device):
    """Components between nodes, combined by matrices, and whole fields of them."""
    grid = so.Grid((20, 17), 10.0)
    waves = so.Wavefield(grid, so.Time(12, 0.002), shots=2, dtype="float64", device=device)
    A = so.Modeling(waves, so.Elastic(grid, vp=2000.0, vs=1100.0, rho=1800.0), so.PML(cells=3), True, space_order=4)
    heard = so.Force(waves, [[60.0, 50.0], [91.0, 77.0]], direction=(0.6, 0.8))
    return so.VStack(
        [
            heard * A * so.Projection(waves, [[110.0, 82.0]], component="p").H,
            so.Snapshots(waves, [0.012, 0.02], component="vx") * A * so.Projection(waves, [[110.0, 82.0]]).H,
        ]
    )


MAKES = [read_at_points, density_below_a_surface, extended_source, snapshots, whole_wavefield, stacks_and_sums, elastic]


@pytest.mark.parametrize("make", MAKES)
def test_products_are_made_where_waves_are(card, make):
    for one, other in zip(products("cpu", make, False), products("host", make, True), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        assert np.linalg.norm(one - other) < 1e-12 * np.linalg.norm(one)


def test_numpys_arrays_come_back_as_such(card):
    found = [products(device, read_at_points, False) for device in ("cpu", "host")]
    assert all(type(a) is np.ndarray for a in found[1])
    for one, other in zip(*found, strict=True):
        assert np.linalg.norm(one - other) < 1e-12 * np.linalg.norm(one)


JACOBIANS = {
    "m": dict(wrt="m"),
    "two": dict(wrt=("vp", "rho"), storage=so.storage.Checkpointed(n=2)),
    "lags": dict(lags={"x": range(-8, 9, 4), "z": range(-1, 2)}),
    "reflections": dict(condition="inverse_scattering", storage=so.storage.Boundary()),
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_images_stay_there(card, name):
    options, found = JACOBIANS[name], []
    for device in ("cpu", "host"):
        F = (density_below_a_surface if name == "two" else read_at_points)(device)
        q, y = F.domain.random(1), F.range.random(2)
        if device == "host":
            q, y = xp.asarray(q), xp.asarray(y)
        J = so.Jacobian(F, q, **options)
        x = J.domain.random(3)
        x = xp.asarray(x) if device == "host" else x
        J @ x  # what is looked at once, and carried there once
        xp.crossed.clear()
        found.append((J @ x, J.H @ y))
    assert xp.crossed == [] or all(np.prod(shape) <= 32 or way == "in" for way, shape in xp.crossed), xp.crossed
    for one, other in zip(*found, strict=True):
        assert type(other) is xp.ndarray
        assert np.linalg.norm(one - xp.asnumpy(other)) < 1e-12 * np.linalg.norm(one)
    if name == "m":
        assert isinstance(J.illumination(), np.ndarray)


def test_maps_and_their_gradients(card):
    """The model goes by the host, where media are; data and gradients do not."""
    found = []
    for device in ("cpu", "host"):
        G = so.Parametric(read_at_points(device))
        (m, q), y = (so_model(G), G.domain[1].random(1)), G.range.random(2)
        dm = G.domain[0].random(3) * 1e-9
        if device == "host":
            m, q, y, dm = map(xp.asarray, (m, q, y, dm))
        xp.crossed.clear()
        at = G.linearize(m, q)
        found.append([G(m, q), at.value, *at.pullback(y), at.pushforward(dm, None), *G.second((m, q), (dm, q), y)])
        at.close()
    out = [shape for way, shape in xp.crossed if way == "out" and np.prod(shape) > 32]
    assert set(out) == {G.domain[0].shape}
    for one, other in zip(*found, strict=True):
        assert type(other) is xp.ndarray
        assert np.linalg.norm(one - xp.asnumpy(other)) < 1e-11 * np.linalg.norm(one)


def so_model(G):
    return next(leaf.medium for leaf in G.F.leaves() if hasattr(leaf, "medium")).get("m")


def test_a_model_for_each_shot_and_positions(card):
    found = []
    for device in ("cpu", "host"):
        Pr, A, Ps = modeling(device)
        F = Pr * A * Ps.H
        G, P = so.PerShot(so.Parametric(F)), so.Parametric(F, wrt=so.Positions(Pr))
        m = np.stack([so_model(so.Parametric(F))] * 2)
        x = np.array(Pr.points.shot(0))
        q, y = F.domain.random(1), F.range.random(2)
        if device == "host":
            m, x, q, y = map(xp.asarray, (m, x, q, y))
        found.append([])
        for map_, at in ((G, m), (P, x)):
            at_x = map_.linearize(at, q)
            found[-1] += [map_(at, q), *at_x.pullback(y), at_x.pushforward(at, q)]
    for one, other in zip(*found, strict=True):
        assert type(other) is xp.ndarray
        assert np.linalg.norm(one - xp.asnumpy(other)) < 1e-11 * np.linalg.norm(one)


def test_windows_of_a_survey(card):
    survey = so.Survey.from_arrays([[(50.0, 50.0)]], [[(100.0, 100.0)]], so.Time(25, 0.002))
    found = []
    for device in ("cpu", "host"):
        F = survey.modeling(
            so.Acoustic(so.Grid((20, 17), 10.0), vp=2000.0), 200.0, None, dtype="float64", device=device
        )
        q, y = F.domain.random(1), F.range.random(2)
        if device == "host":
            q, y = xp.asarray(q), xp.asarray(y)
        found.append((F @ q, F.jacobian(q).H @ y))
    for one, other in zip(*found, strict=True):
        assert np.linalg.norm(one - xp.asnumpy(other)) < 1e-12 * np.linalg.norm(one)


@pytest.mark.parametrize("solver", ["cgls", "ista", "fista"])
def test_solvers_of_pylops_work_on_them(card, monkeypatch, solver):
    """As PyLops knows CuPy's arrays by their module, it is told of these."""
    import pylops
    from pylops.optimization import cls_basic, cls_sparsity
    from pylops.utils import backend as theirs

    real = theirs.get_array_module
    for module in (theirs, cls_basic, cls_sparsity):
        monkeypatch.setattr(module, "get_array_module", lambda x: xp if isinstance(x, xp.ndarray) else real(x))
        if hasattr(module, "get_module_name"):
            monkeypatch.setattr(module, "get_module_name", lambda module: "numpy")
    F = read_at_points("cpu")
    size, found = np.linalg.norm(so.Jacobian(F, F.domain.random(1)).todense(), 2), []
    for device in ("cpu", "host"):
        F = read_at_points(device)
        J = so.Jacobian(F, F.domain.random(1))
        d = (J @ J.domain.random(3)).ravel()
        if device == "host":
            d = xp.asarray(d)
            xp.crossed.clear()
        if solver == "cgls":
            found.append(pylops.cgls(J, d, niter=5, tol=0)[0])
        else:
            steps = dict(alpha=0.5 / size**2, eps=1e-6 * size**2)
            found.append(getattr(pylops.optimization.sparsity, solver)(J, d, niter=5, **steps)[0])
    one, other = found
    assert type(other) is xp.ndarray and np.linalg.norm(one) > 0
    assert np.linalg.norm(one - xp.asnumpy(other)) < 1e-9 * np.linalg.norm(one)


def test_operators_of_the_host_say_what_they_do(card):
    """What works on NumPy's arrays gets such, and what comes of it goes back."""
    F = read_at_points("host")
    mute = so.data.Gain(F.range, 0.01)
    found = []
    for q in (F.domain.random(1), xp.asarray(F.domain.random(1))):
        found.append((mute * F) @ q)
    assert type(found[1]) is xp.ndarray
    assert np.array_equal(found[0], xp.asnumpy(found[1]))


def test_arrays_that_are_not_where_waves_are_are_refused(card):
    F = read_at_points("cpu")
    with pytest.raises(ParameterError, match="device 'cpu', and was given an array on device 0 of device_arrays"):
        F @ xp.asarray(F.domain.random(1))


def test_nothing_is_accepted_that_is_not_finite(card):
    F = read_at_points("host")
    q = F.domain.random(1)
    q[1, 0, 3] = np.nan
    with pytest.raises(ParameterError, match="1 of 50 values .* shot 1, trace 0, sample 3"):
        F @ xp.asarray(q)


def test_another_device_may_be_the_current_one(card):
    """Kernels run on the current device, and memory is taken there: who computes with an array says where it is."""
    found = []
    for where in ("cpu", "host"):
        F = read_at_points(where)
        G, q, y = so.Parametric(F), F.domain.random(1), F.range.random(2)
        m, dm = so_model(G), 1e-9 * G.domain[0].random(3)
        if where == "host":
            m, dm, q, y = map(xp.asarray, (m, dm, q, y))
        with nullcontext() if where == "cpu" else xp.beside_another():
            J = so.Jacobian(F, q)
            one = [F @ q, F.H @ y, J @ dm, J.H @ y, (J.H @ J) @ dm, J.illumination()]
            with G.linearize(m, q) as at:
                one += [at.value, *at.pullback(y), at.pushforward(dm, None), *G.second((m, q), (dm, q), y)]
        found.append([a if where == "cpu" or isinstance(a, np.ndarray) else xp.asnumpy(a) for a in one])
    for one, other in zip(*found, strict=True):
        assert np.linalg.norm(one - other) < 1e-11 * np.linalg.norm(one)
