"""What every operator and every map meets, of each that is registered."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from cases import BOUNDARIES, TOLERANCE, check_exact, world
from registry import MAPS, MEDIA, OPERATORS, kinds, media, parts

import seisops as so
from seisops.check import diagnose, dot_test, linearity_test, taylor_test
from seisops.data.matching import ByLag
from seisops.errors import ParameterError, SpaceError
from seisops.fusion import FusedSolve
from seisops.inversion import fingerprint
from seisops.maps import LinearMap
from seisops.operators import Adjoint, Product, Sampler, Scaled, Sum
from seisops.wave import boundaries

# random sources are meant to hold every frequency
pytestmark = [
    pytest.mark.filterwarnings("ignore::seisops.DispersionWarning"),
    pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning"),
]

every_operator = pytest.mark.parametrize("name", OPERATORS)
every_map = pytest.mark.parametrize("name", MAPS)


def relative(a, b):
    return np.linalg.norm(np.ravel(a) - np.ravel(b)) / np.linalg.norm(np.ravel(b))


def test_every_kind_is_registered():
    registered = {entry.kind for entry in (*OPERATORS.values(), *MAPS.values())}
    missing = sorted(kind.__qualname__ for kind in kinds() - registered)
    assert not missing, f"add an example of {', '.join(missing)} to tests/registry.py"
    assert registered <= kinds(), "what is registered is looked for"


# ---- operators


@every_operator
def test_its_kind_takes_part(name):
    assert any(isinstance(part, OPERATORS[name].kind) for part in parts(OPERATORS[name]()))


@pytest.mark.parametrize("dtype", TOLERANCE)
@every_operator
def test_adjoint(name, dtype):
    op = OPERATORS[name](dtype=dtype)
    check_exact(op, TOLERANCE[dtype])
    assert op.H.H is op and (op.H.domain, op.H.range) == (op.range, op.domain)


@every_operator
def test_linearity(name):
    assert linearity_test(OPERATORS[name]()) < TOLERANCE["float64"]


@every_operator
def test_pickled_it_gives_the_same_numbers(name):
    op = OPERATORS[name]()
    copy = pickle.loads(pickle.dumps(op))
    x, y = op.domain.random(0), op.range.random(1)
    assert type(copy) is type(op) and (copy.domain, copy.range) == (op.domain, op.range)
    assert np.array_equal(copy @ x, op @ x) and np.array_equal(copy.H @ y, op.H @ y)


def put_together(op, x, into, of):
    """What shots, one at a time, make of an array, put together in a space."""
    out = into.zeros()
    for i in range(op.shots):
        part = op[[i]]
        into.put(out, np.reshape(part @ of.take(x, [i]), into.select([i]).shape), [i])
    return out


@every_operator
def test_some_of_its_shots_are_those_of_the_whole(name):
    op = OPERATORS[name]()
    if not OPERATORS[name].select:
        with pytest.raises((SpaceError, TypeError), match="shots"):
            op[[0]]
        return
    for one in (op, op.H):
        x = one.domain.random(0)
        whole, shots = one @ x, put_together(one, x, one.range, one.domain)
        if one.range.shots is None:  # what all shots add to, in another order
            assert relative(shots, whole) < TOLERANCE["float64"]
        else:
            assert np.array_equal(shots, whole)
    order = [1, 0, 1]
    if op.range.shots is not None and op.domain.shots is not None:
        x = op.domain.random(0)
        assert np.array_equal(np.ravel(op[order] @ op.domain.take(x, order)), np.ravel(op.range.take(op @ x, order)))


@every_operator
def test_fingerprint(name):
    op = OPERATORS[name]()
    found = fingerprint(op)
    assert fingerprint(OPERATORS[name](fresh=True)) == fingerprint(pickle.loads(pickle.dumps(op))) == found
    assert fingerprint(op.H) != found or op.H is op
    assert fingerprint(OPERATORS[name](dtype="float32")) != found


def test_fingerprints_differ():
    prints = {name: fingerprint(entry()) for name, entry in OPERATORS.items()}
    prints |= {f"map {name}": fingerprint(entry()[0]) for name, entry in MAPS.items()}
    names = {}
    for name, found in prints.items():
        names.setdefault(found, []).append(name)
    assert len(names) == len(prints), [same for same in names.values() if len(same) > 1]


def apart(op, x, adjoint=False):
    """A product by the rules of matrices alone, on flat arrays, with leaves applied one after another: nothing is fused."""
    match op:
        case Adjoint():
            return apart(op.op, x, not adjoint)
        case Product() | FusedSolve():
            factors = op.factors() if isinstance(op, FusedSolve) else op.children
            for factor in factors if adjoint else factors[::-1]:
                x = apart(factor, x, adjoint)
            return x
        case Sum():
            return sum(apart(term, x, adjoint) for term in op.children)
        case Scaled():
            return op.scalar * apart(op.op, x, adjoint)
        case so.VStack() | so.HStack() | so.BlockDiag():
            joined = [child.shape[0] if adjoint else child.shape[1] for child in op.children]
            one_to_all = isinstance(op, so.HStack if adjoint else so.VStack)
            all_to_one = isinstance(op, so.VStack if adjoint else so.HStack)
            given = [x] * len(op.children) if one_to_all else np.split(x, np.cumsum(joined)[:-1])
            found = [apart(child, part, adjoint) for child, part in zip(op.children, given, strict=True)]
            return sum(found) if all_to_one else np.concatenate(found)
    return op.rmatvec(x) if adjoint else op.matvec(x)


@pytest.mark.parametrize("name", [name for name, entry in OPERATORS.items() if entry.apart and entry().children])
def test_fused_it_is_the_product_of_its_factors(name):
    op = OPERATORS[name]()
    for one in (op, op.H):
        x = one.domain.random(3).ravel()
        expected = apart(one, x)
        assert relative(one.matvec(x), expected) < TOLERANCE["float64"]


@pytest.mark.parametrize("substeps", [False, True], ids=["ratio one", "substeps"])
@pytest.mark.parametrize("name", [n for n, e in OPERATORS.items() if e.apart and issubclass(e.kind, Sampler)])
def test_a_sampler_in_a_solve(name, substeps):
    """Read, written, and both, forward and backward in time; beside others, and twice."""
    w = world(substeps=substeps)
    S, P = OPERATORS[name](substeps=substeps), w.deep(2, 2)
    several = so.VStack([S, P, S]) * w.A * P.H
    for op in (S * w.A * P.H, P * w.A * S.H, S * w.A.H * P.H, S * w.A * S.H, several):
        check_exact(op)
        for one in (op, op.H):
            x = one.domain.random(3).ravel()
            assert relative(one.matvec(x), apart(one, x)) < TOLERANCE["float64"]


# ---- maps


@every_map
def test_a_map_and_its_derivatives(name):
    """They are transposes, the expansion converges, and the value is that of the map, in both precisions."""
    assert any(isinstance(part, MAPS[name].kind) for part in parts(MAPS[name]()[0]))
    for dtype, tolerance in TOLERANCE.items():
        G, x = MAPS[name](dtype=dtype)
        with G.linearize(*x) as at:
            assert relative(G(*x), at.value) < tolerance
            for J in at.jacobians:
                assert dot_test(J) < tolerance, diagnose(J)
    G, x = MAPS[name]()
    if not isinstance(G, LinearMap | ByLag):  # of which nothing is left over
        directions = [0.1 * a * space.random(k) for k, (space, a) in enumerate(zip(G.domain, x, strict=True))]
        at, along = (x, directions) if len(x) > 1 else (x[0], directions[0])
        result = taylor_test(G, at, along, steps=(1e-1, 5e-2, 2.5e-2))
        assert all(1.9 < rate < 2.1 for rate in result.rates), result


@every_map
def test_a_map_pickled_gives_the_same_numbers(name):
    G, x = MAPS[name]()
    copy = pickle.loads(pickle.dumps(G))
    assert (copy.domain, copy.range) == (G.domain, G.range) and np.array_equal(copy(*x), G(*x))
    assert fingerprint(copy) == fingerprint(G) == fingerprint(MAPS[name](fresh=True)[0])


@every_map
def test_some_shots_of_a_map_are_those_of_the_whole(name):
    G, x = MAPS[name]()
    if not MAPS[name].select:
        assert G.shots is None and G.select([0]) is G
        return
    value, out = G(*x), G.range.zeros()
    for i in range(G.shots):
        part = G.select([i])(*(space.take(a, [i]) for space, a in zip(G.domain, x, strict=True)))
        G.range.put(out, part, [i])
    assert np.array_equal(out, value)


# ---- media and boundaries


def test_every_medium_and_every_boundary_is_registered():
    missing = media() - {entry.kind for entry in MEDIA.values()}
    assert not missing, f"add an example of {sorted(kind.__qualname__ for kind in missing)} to tests/registry.py"
    assert {type(b).__name__ for b in BOUNDARIES.values() if b is not None} == set(boundaries.__all__), "tests/cases.py"


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", MEDIA)
def test_a_medium_with_a_boundary(name, boundary):
    """The solve and its derivatives by all that it is given by are exact, and the map that they are of has them.

    By each alone where that takes few kernels; by all that determine the medium together, elsewhere.
    """
    w = world()
    medium = MEDIA[name]()
    A = so.Modeling(w.waves, medium, BOUNDARIES[boundary], space_order=4)
    F = w.Pr * A * w.Ps.H
    check_exact(F)
    alone = isinstance(medium, so.Acoustic)
    together = tuple(name for name in medium._declared.first if name in medium.perturbable)
    for parameter in medium.perturbable if alone else [together]:
        check_exact(so.Jacobian(F, F.domain.random(5), wrt=parameter))
    copy = pickle.loads(pickle.dumps(F))
    assert np.array_equal(copy @ F.domain.random(1), F @ F.domain.random(1)) and fingerprint(copy) == fingerprint(F)


# ---- on a cluster


@pytest.fixture(scope="module")
def distribute():
    """What distributes over workers in this process, one for all that is registered."""
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    # Dask's profiler looks into the frames of other threads, which CPython 3.11 may not survive
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield lambda thing: so.dask.distribute(thing, client, same_order=True)


@every_operator
def test_distributed_it_is_the_same(name, distribute):
    op = OPERATORS[name]()
    if not OPERATORS[name].select:
        with pytest.raises(ParameterError, match="shots"):
            distribute(op)
        return
    D = distribute(op)
    x, y = op.domain.random(1), op.range.random(2)
    assert np.array_equal(D @ x, op @ x) and np.array_equal(D.H @ y, op.H @ y)


@every_map
def test_a_map_distributed_is_the_same(name, distribute):
    G, x = MAPS[name]()
    if not MAPS[name].select:
        with pytest.raises(ParameterError, match="shots"):
            distribute(G)
        return
    D, y = distribute(G), G.range.random(2)
    assert np.array_equal(D(*x), G(*x))
    with G.linearize(*x) as at, D.linearize(*x) as there:
        for found, expected in zip(there.pullback(y), at.pullback(y), strict=True):
            assert relative(found, expected) < TOLERANCE["float64"]  # a stack's, shot by shot


# ---- in torch


@every_operator
def test_lifted_it_is_the_same(name):
    torch = pytest.importorskip("torch")
    op = OPERATORS[name]()
    x, y = op.domain.random(1), op.range.random(2)
    given = torch.from_numpy(x.copy()).requires_grad_()
    value = so.torch.lift(op)(given)
    value.backward(torch.from_numpy(y.copy()))
    assert np.array_equal(value.detach().numpy(), op @ x)
    assert np.array_equal(given.grad.numpy(), op.H @ y)


@every_map
def test_a_map_lifted_is_the_same(name):
    torch = pytest.importorskip("torch")
    G, x = MAPS[name]()
    y = G.range.random(2)
    given = [torch.from_numpy(a.copy()).requires_grad_() for a in x]
    value = so.torch.lift(G)(*given)
    value.backward(torch.from_numpy(y.copy()))
    with G.linearize(*x) as at:
        assert np.array_equal(value.detach().numpy(), at.value)
        for found, expected in zip(given, at.pullback(y), strict=True):
            assert np.array_equal(found.grad.numpy(), expected)
