"""The normal form: equal to the matrices, with as few solves as the mathematics allows."""

import pickle

import numpy as np
import pylops
import pytest
from toys import Points, World, dense

from seisops.check import dot_test
from seisops.errors import ParameterError, SpaceError, UnfusedError
from seisops.fusion import FusedSolve, fuse, take_apart
from seisops.operators import BlockDiag, Everything, External, HStack, Identity, LinearOperator, Sum, VStack
from seisops.spaces import Anonymous, DirectSum


class Mask(LinearOperator):
    """A weight on wavefields: not a sampler, so it can be reached only through the whole wavefield."""

    symbol = "M"

    def __init__(self, waves):
        self.weight = waves.random(9)
        super().__init__(waves, waves)

    def _apply(self, x):
        return self.weight * x

    _apply_adjoint = _apply


# expression, its number of solves, and its printed normal form (None where it is not worth fixing)
CASES = {
    "product": (lambda w: w.Pr * w.A * w.Ps.H, 1, "{Pr * A * Ps.H}"),
    "from the right": (lambda w: w.Pr * (w.A * w.Ps.H), 1, "{Pr * A * Ps.H}"),
    "adjoint": (lambda w: (w.Pr * w.A * w.Ps.H).H, 1, "{Ps * A.H * Pr.H}"),
    "adjoint propagator": (lambda w: w.Pr * w.A.H * w.Ps.H, 1, "{Pr * A.H * Ps.H}"),
    "adjoints of parts": (lambda w: (w.A.H * w.Pr.H).H * w.Ps.H, 1, "{Pr * A * Ps.H}"),
    "extended source": (lambda w: w.Pr * w.A * w.Pw.H, 1, "{Pr * A * Pw.H}"),
    "wavefield out": (lambda w: w.A * w.Ps.H, 1, "{A * Ps.H}"),
    "wavefield in": (lambda w: w.Pr * w.A, 1, "{Pr * A}"),
    "everything": (lambda w: w.everything * w.A * w.everything.H, 1, "{A}"),
    "bare": (lambda w: w.A, 1, "A"),
    "bare adjoint": (lambda w: 2 * w.A.H, 1, "2 * A.H"),
    "scaled": (lambda w: 2 * w.Pr * (-w.A) * (3 * w.Ps).H, 1, "-6 * {Pr * A * Ps.H}"),
    "scaled inside": (lambda w: w.Pr * (2 * (w.A * w.Ps.H)), 1, "2 * {Pr * A * Ps.H}"),
    "small neighbours": (
        lambda w: Identity(w.Pr.range) * (2 * Identity(w.Pr.range)) * w.Pr * w.A * w.Ps.H * (3 * Identity(w.Ps.range)),
        1,
        "6 * {Pr * A * Ps.H}",
    ),
    "sum of sources": (lambda w: w.Pr * w.A * (w.Ps.H + w.Ps2.H), 1, "{Pr * A * [Ps.H, Ps2.H]} * [I; I]"),
    "sum of receivers": (
        lambda w: (w.Ps + 2 * w.Ps2) * w.A * w.Pw.H,
        1,
        "[I, 2 * I] * {[Ps; Ps2] * A * Pw.H}",
    ),
    "column of receivers": (lambda w: VStack([w.Pr, w.Pr2]) * w.A * w.Ps.H, 1, "{[Pr; Pr2] * A * Ps.H}"),
    "row of sources": (lambda w: w.Pr * w.A * HStack([w.Ps.H, 2 * w.Pw.H]), 1, None),
    "all of them": (lambda w: VStack([w.Pr, w.Ps - w.Ps2]) * w.A * HStack([w.Ps.H, w.Pw.H]), 1, None),
    "same sampler twice": (
        lambda w: w.Pr * w.A * (w.Ps.H + 2 * w.Ps.H),
        1,
        "{Pr * A * Ps.H} * gather * [I; 2 * I]",
    ),
    "same reader twice": (
        lambda w: VStack([w.Pr, w.Pr2, w.Pr]) * w.A * w.Ps.H,
        1,
        "gather.H * {[Pr; Pr2] * A * Ps.H}",
    ),
    "column of solves": (
        lambda w: VStack([w.Pr * w.A * w.Ps.H, w.Pr2 * w.A * w.Ps.H]),
        1,
        "{[Pr; Pr2] * A * Ps.H}",
    ),
    "row of solves": (
        lambda w: HStack([w.Pr * w.A * w.Ps.H, w.Pr * w.A * w.Pw.H]),
        1,
        "{Pr * A * [Ps.H, Pw.H]}",
    ),
    "sum of solves": (lambda w: w.Pr * w.A * w.Ps.H - 2 * w.Pr * w.A * w.Ps2.H, 1, None),
    "unlike solves": (lambda w: VStack([w.Pr * w.A * w.Ps.H, w.Pr * w.B * w.Ps.H]), 2, None),
    "adjoint and not": (lambda w: w.Pr * w.A * w.Ps.H + w.Pr * w.A.H * w.Ps.H, 2, None),
    "sum of propagators": (lambda w: w.Pr * (w.A + w.B) * w.Ps.H, 2, "{Pr * A * Ps.H} + {Pr * B * Ps.H}"),
    "sum of one twice": (lambda w: w.Pr * (w.A + w.A) * w.Ps.H, 1, None),
    "sums everywhere": (lambda w: (w.Ps + w.Ps2) * (w.A - 2 * w.B.H) * (w.Ps + w.Ps2).H, 2, None),
    "wavefields of a sum": (lambda w: (w.A + w.B) * w.Ps.H, 2, "{A * Ps.H} + {B * Ps.H}"),
    "column of propagators": (lambda w: VStack([w.A, w.B]) * w.Ps.H, 2, None),
    "row times column": (lambda w: HStack([w.Pr, w.Pr]) * VStack([w.A, w.B]) * w.Ps.H, 2, None),
    "diagonals": (
        lambda w: BlockDiag([w.Pr, w.Pr2]) * BlockDiag([w.A, w.B]) * BlockDiag([w.Ps, w.Pw]).H,
        2,
        "diag({Pr * A * Ps.H}, {Pr2 * B * Pw.H})",
    ),
    "diagonal times column": (lambda w: BlockDiag([w.Pr, w.Pr2]) * VStack([w.A, w.B]) * w.Ps.H, 2, None),
    "row times diagonal": (lambda w: w.Pr * HStack([w.A, w.B]) * BlockDiag([w.Ps, w.Pw]).H, 2, None),
    "row of propagators": (
        lambda w: w.Pr * HStack([w.A, w.B]) * VStack([w.Ps.H, w.Ps2.H]),
        2,
        "{Pr * A * Ps.H} + {Pr * B * Ps2.H}",
    ),
    "scaled stacks": (lambda w: (2 * HStack([w.Pr, w.Pr])) * (-VStack([w.A, w.B])) * w.Ps.H, 2, None),
    "sum of rows": (
        lambda w: (HStack([w.Pr, w.Pr]) + HStack([w.Pr, 2 * w.Pr])) * VStack([w.A, w.B]) * w.Ps.H,
        2,
        None,
    ),
    "two in a row": (lambda w: w.Pr * w.A * w.B * w.Ps.H, 2, "{Pr * A} * {B * Ps.H}"),
    "normal equations": (
        lambda w: (w.Pr * w.A * w.Ps.H).H * (w.Pr * w.A * w.Ps.H),
        2,
        "{Ps * A.H * Pr.H} * {Pr * A * Ps.H}",
    ),
    "shared second solve": (lambda w: w.Pr * (w.A + w.A.H) * w.B * w.Ps.H, 3, None),
    "scattering": (lambda w: w.Pr * w.A * (w.Ps.H + w.B * w.Ps2.H), 2, None),
    "opaque neighbour": (lambda w: w.Pr * w.A * Mask(w.waves) * w.Ps.H, 1, "{Pr * A} * M * Ps.H"),
    "opaque neighbours": (lambda w: w.Pr * w.A * (Mask(w.waves) + Mask(w.waves)) * w.Ps.H, 1, None),
    "fused once more": (lambda w: w.Pr * fuse(w.A * w.Ps.H), 1, "{Pr * A * Ps.H}"),
    "no propagator": (lambda w: w.Pr * w.Ps.H, 0, "Pr * Ps.H"),
    "power": (lambda w: w.Pr * w.A**2 * w.Ps.H, 2, "{Pr * A} * {A * Ps.H}"),
}


@pytest.mark.parametrize("name", CASES)
def test_normal_form(name):
    make, solves, printed = CASES[name]
    w = World()
    op = make(w)
    matrix = dense(op)
    x, y = op.domain.random(0), op.range.random(1)
    for form in (op, fuse(op)):
        for _ in range(2):
            w.log.clear()
            np.testing.assert_allclose((form @ x).ravel(), matrix @ x.ravel(), rtol=1e-9, atol=1e-9)
            assert len(w.log) == solves
            w.log.clear()
            np.testing.assert_allclose(form.rmatvec(y.ravel()), matrix.T @ y.ravel(), rtol=1e-9, atol=1e-9)
            assert len(w.log) == solves
            np.testing.assert_allclose((form.H @ y).ravel(), matrix.T @ y.ravel(), rtol=1e-9, atol=1e-9)
        assert dot_test(form) < 1e-12 and form.H.H is form
        assert form.shape == op.shape
    copy = pickle.loads(pickle.dumps(fuse(op)))
    np.testing.assert_allclose((copy @ x).ravel(), matrix @ x.ravel(), rtol=1e-9, atol=1e-9)
    assert printed is None or fuse(op)._formula() == printed


@pytest.mark.parametrize("name", CASES)
def test_normal_form_in_single_precision(name):
    w = World("float32")
    op = CASES[name][0](w)
    assert op.dtype == fuse(op).dtype == (op @ np.ones(op.shape[1])).dtype == np.float32
    assert dot_test(op) < 1e-5


@pytest.mark.parametrize("name", CASES)
def test_normal_form_is_stable(name):
    op = fuse(CASES[name][0](World()))
    assert fuse(op) is op
    assert fuse(op.H) is op.H


@pytest.mark.parametrize("name", CASES)
def test_selection_and_parameters_commute_with_fusion(name):
    op = CASES[name][0](World())
    if "opaque" in name:
        with pytest.raises(SpaceError, match="does not define `select`"):
            op[0]
        return
    for key in (1, [2, 0]):
        x = op[key].domain.random(0)
        np.testing.assert_allclose(fuse(op)[key] @ x, fuse(op[key]) @ x, rtol=1e-9)
    if CASES[name][1]:
        x = op.domain.random(0)
        np.testing.assert_allclose(fuse(op).at(m=2.0) @ x, fuse(op.at(m=2.0)) @ x, rtol=1e-9)


def restriction(w):
    return pylops.Restriction(w.Pr.range.size, np.array([0, 5, 7]), dtype="float64")


def fourier():
    return pylops.signalprocessing.FFT(24, real=True)


PLAIN = {
    "plain on the left": (lambda w: (restriction(w) * w.Pr) * w.A * w.Ps.H, 1),
    "plain on both sides": (
        lambda w: (restriction(w) * w.Pr) * w.A * w.Ps.H * pylops.Diagonal(np.arange(12.0)),
        1,
    ),
    "plain adjoint": (lambda w: ((restriction(w) * w.Pr) * w.A * w.Ps.H).H, 1),
    "plain transpose": (lambda w: ((restriction(w) * w.Pr) * w.A * w.Ps.H).T, 1),
    "plain conjugate": (lambda w: ((restriction(w) * w.Pr) * w.A * w.Ps.H).conj(), 1),
    "plain scaled": (lambda w: -2.0 * ((restriction(w) * w.Pr) * w.A) * w.Ps.H, 1),
    "plain sum": (lambda w: (restriction(w) * w.Pr + restriction(w) * w.Pr) * w.A * w.Ps.H, 1),
    "plain column": (lambda w: pylops.VStack([w.Pr, w.Pr2]) * w.A * w.Ps.H, 1),
    "plain row": (lambda w: (restriction(w) * w.Pr) * w.A * pylops.HStack([w.Ps.H, w.Pw.H]), 1),
    "plain diagonal": (
        lambda w: pylops.BlockDiag([w.Pr, w.Pr2]) * pylops.BlockDiag([w.A, w.B]) * pylops.BlockDiag([w.Ps.H, w.Pw.H]),
        2,
    ),
    "block": (
        lambda w: pylops.Block(
            [[w.Pr * w.A * w.Ps.H, w.Pr * w.A * w.Pw.H], [w.Pr2 * w.A * w.Ps.H, w.Pr2 * w.A * w.Pw.H]]
        ),
        1,
    ),
    "power": (lambda w: (pylops.Identity(12) * (w.Ps * w.A * w.Ps.H)) ** 2, 2),
    "hidden in ours": (
        lambda w: 2 * (w.Pr.H.H * (w.A * (w.Ps.H * (pylops.Diagonal(np.ones(12)) * w.Ps)))) * w.Ps2.H,
        1,
    ),
    "wholly plain": (lambda w: restriction(w) * pylops.Identity(24), 0),
    "complex inside": (
        lambda w: (fourier().H * pylops.Diagonal(np.arange(13.0)) * fourier()).toreal() * w.Pr * w.A * w.Ps.H,
        1,
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_fuse_opens_what_pylops_built(name):
    make, solves = PLAIN[name]
    w = World()
    op = make(w)
    fused = fuse(op)
    assert isinstance(fused, LinearOperator)
    x, y = (
        np.random.default_rng(0).standard_normal(op.shape[1]),
        np.random.default_rng(1).standard_normal(op.shape[0]),
    )
    expected, adjoint = op.matvec(x), op.rmatvec(y)
    w.log.clear()
    np.testing.assert_allclose(fused.matvec(x), expected, rtol=1e-9, atol=1e-9)
    assert len(w.log) == solves
    np.testing.assert_allclose(fused.rmatvec(y), adjoint, rtol=1e-9, atol=1e-9)


def test_fuse_opens_plain_operators_wrapped_by_ours():
    w = World()
    op = w.Ps.H * (pylops.Identity(12) * (w.Ps * w.A)) * w.Ps.H
    assert isinstance(op.children[1], External) and fuse(op)._formula() == "Ps.H * Identity * {Ps * A * Ps.H}"


def test_complex_operators_between_real_ones_have_to_say_that_they_are_real():
    w = World()
    with pytest.raises(SpaceError, match="toreal"):
        fuse(fourier().H * (fourier() * (w.Pr * w.A * w.Ps.H)))


def test_plain_operators_adopt_the_precision_of_what_they_hold():
    w = World("float32")
    op = fuse((restriction(w) * w.Pr) * w.A * w.Ps.H)
    assert op.dtype == np.float32 and op.range == Anonymous((3,), "float32")


def test_mismatched_structure_is_found_by_fuse():
    w = World()
    same_size = Identity(Points.random(w.waves, 0, "P", [5, 5, 5]).range)
    with pytest.raises(SpaceError, match=r"waves\[shot=3, time=4, x=5\]"):
        fuse(pylops.Identity(24) * w.Pr * same_size)


def test_take_apart():
    w = World()
    op = -2 * w.Pr * w.A.H * (w.Ps.H + w.Ps2.H) * (3 * Identity(w.Ps.range))
    parts = take_apart(op)
    assert parts.readers == (w.Pr,) and parts.writers == (w.Ps, w.Ps2)
    assert parts.propagator is w.A and parts.adjoint is True
    assert parts.left.range == op.range and parts.right.domain == op.domain
    assert parts.right.range == DirectSum([w.Ps.range, w.Ps2.range])
    x = op.domain.random(0)
    np.testing.assert_allclose(parts.operator @ x, op @ x)
    simple = take_apart(w.Pr * w.A)
    assert isinstance(simple.left, Identity) and isinstance(simple.right, Identity)
    assert isinstance(simple.writers[0], Everything) and not simple.adjoint
    for other in (w.Pr * (w.A + w.B) * w.Ps.H, w.Pr * w.A * w.B * w.Ps.H, w.Pr * w.Ps.H):
        with pytest.raises(ParameterError, match="one solve"):
            take_apart(other)


def test_the_solve_is_made_once_and_shared_with_the_adjoint():
    w = World()
    op = w.Pr * w.A * w.Ps.H
    y = op.range.random(0)
    calls = []
    make = w.A.solve
    w.A.solve = lambda *args: (calls.append(args), make(*args))[1]
    for _ in range(2):
        op @ op.domain.random(0)
        op.H @ y
        op.rmatvec(y.ravel())
    assert len(calls) == 1
    assert isinstance(op._normal_form(), FusedSolve)
    del w.A.solve
    assert "_solution" not in pickle.loads(pickle.dumps(op._normal_form())).__dict__


# ---- the budget

SMALL = 8  # bytes: no wavefield is affordable

UNAFFORDABLE = {
    "sampler": lambda w: w.Pr,
    "source": lambda w: w.Ps.H,
    "propagator": lambda w: w.A,
    "wavefield out": lambda w: w.A * w.Ps.H,
    "wavefield in": lambda w: w.Pr * w.A,
    "two in a row": lambda w: w.Pr * w.A * w.B * w.Ps.H,
    "no propagator": lambda w: w.Pr * w.Ps.H,
    "sum": lambda w: w.A + w.B,
    "unfused plain product": lambda w: (pylops.Identity(24) * w.Pr) * w.A * w.Ps.H,
    "everything": lambda w: w.everything,
    "opaque": lambda w: w.Pr * w.A * Mask(w.waves) * w.Ps.H,
}


@pytest.mark.parametrize("name", UNAFFORDABLE)
def test_wavefields_beyond_the_budget_are_refused(name):
    w = World(max_bytes=SMALL)
    op = UNAFFORDABLE[name](w)
    for attempt in (lambda: op.matvec(np.ones(op.shape[1])), lambda: op.rmatvec(np.ones(op.shape[0]))):
        with pytest.raises(UnfusedError) as caught:
            attempt()
        message = str(caught.value)
        assert all(word in message for word in ("waves[shot=3, time=4, x=5]", "GiB", "budget", "Pr * Ainv * Ps.H"))
    assert not w.log


# those that end in wavefields, or hand one from solve to solve
EXTENDED = {
    name for name in CASES if name.split()[0] in ("wavefield", "wavefields", "everything", "bare", "opaque", "two")
}
EXTENDED |= {"column of propagators", "shared second solve", "scattering", "no propagator", "power"}


@pytest.mark.parametrize("name", [name for name in CASES if name not in EXTENDED])
def test_fused_expressions_need_no_wavefield(name):
    w = World(max_bytes=SMALL)
    op = CASES[name][0](w)
    op @ op.domain.random(0)


def test_fuse_cures_a_plain_left_operand():
    w = World(max_bytes=SMALL)
    plain = (restriction(w) * w.Pr) * w.A * w.Ps.H
    with pytest.raises(UnfusedError, match="fuse"):
        plain @ np.ones(12)
    assert isinstance(fuse(plain).children[1], FusedSolve)
    assert np.isfinite(fuse(plain) @ np.ones(12)).all()


def test_solvers_run_on_fused_and_plain_expressions():
    w = World()
    op = VStack([w.Pr, w.Pr2]) * w.A * w.Ps.H
    x = op.domain.random(3)
    w.log.clear()
    found = pylops.cgls(op, op @ x, niter=40, tol=0)[0]
    np.testing.assert_allclose(found, x.ravel() if found.ndim == 1 else x, rtol=1e-4, atol=1e-4)
    assert w.log.count("A") + w.log.count("A.H") == len(w.log) <= 2 * 41 + 2
    damped = pylops.VStack([op, 0.1 * pylops.Identity(12)])
    assert np.isfinite(pylops.lsqr(damped, np.ones(damped.shape[0]), niter=5)[0]).all()
    assert isinstance(fuse(damped), VStack) and isinstance(Sum([op, op]), Sum)
