"""The algebra of leaves and expressions without any propagator's fusion: see test_fusion for that."""

import gc
import pickle
import weakref

import numpy as np
import pylops
import pyproximal
import pytest
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator, lsmr, lsqr
from toys import CELLS, TIMES, Points, Waves, World, dense

from seisops.check import dot_test
from seisops.errors import ParameterError, SpaceError
from seisops.maps import LinearMap
from seisops.operators import (
    Adjoint,
    BlockDiag,
    Embedding,
    External,
    Gather,
    HStack,
    Identity,
    LinearOperator,
    Product,
    Scaled,
    Sum,
    VStack,
    Zero,
    as_operator,
    rules,
)
from seisops.spaces import Axis, DirectSum, Space, split


class Matrix(LinearOperator):
    """A matrix between two spaces."""

    def __init__(self, domain, range, seed=0, symbol="M"):
        self.matrix = np.random.default_rng(seed).standard_normal((range.size, domain.size)).astype(domain.dtype)
        self.symbol = symbol
        super().__init__(domain, range)

    def _apply(self, x):
        return (self.matrix @ x.ravel()).reshape(self.range.shape)

    def _apply_adjoint(self, y):
        return (self.matrix.T @ y.ravel()).reshape(self.domain.shape)


def spaces(dtype="float64"):
    return Space("image", [Axis("x", 3), Axis("z", 2)], dtype), Space("data", [Axis("r", 2), Axis("t", 4)], dtype)


def operators(dtype="float64"):
    image, data = spaces(dtype)
    return Matrix(image, data, 1, "A"), Matrix(data, image, 2, "B"), Matrix(image, data, 3, "C")


def build(name, dtype="float64"):
    a, b, c = operators(dtype)
    two = Space("two", [Axis("n", 2), *a.domain.axes], dtype)
    corner = Space("corner", [Axis("x", 2), Axis("z", 1)], dtype)
    return {
        "leaf": lambda: a,
        "adjoint": lambda: a.H,
        "product": lambda: a @ b @ c,
        "sum": lambda: a + c - b.H,
        "scaled": lambda: 2 * a,
        "negated": lambda: -a,
        "nested": lambda: 0.5 * (a - 3 * c) @ (b @ a + Identity(a.domain)),
        "power": lambda: (a @ b) ** 3,
        "identity": lambda: Identity(a.domain),
        "zero": lambda: Zero(a.domain, a.range),
        "zero scale": lambda: 0 * a,
        "column": lambda: VStack([a, c, b.H]),
        "row": lambda: HStack([a, c, b.H]),
        "diagonal": lambda: BlockDiag([a, b]),
        "blocks": lambda: HStack([a, c]) @ BlockDiag([b, b]) @ VStack([a, c]),
        "external": lambda: a @ pylops.Diagonal(np.arange(6.0)),
        "column with external": lambda: VStack([a, pylops.Identity(6)]),
        "one of two": lambda: Embedding(a.domain, two, 1),
        "window": lambda: Embedding(corner, a.domain, (slice(1, 3), slice(1))).H,
        "part of a sum": lambda: Embedding.among([a.range, a.domain, a.range], 1),
        "gathered": lambda: Gather([a.domain, a.range, a.domain, a.range], [1, 0, 1, 0]),
    }[name]()


NAMES = [
    "leaf",
    "adjoint",
    "product",
    "sum",
    "scaled",
    "negated",
    "nested",
    "power",
    "identity",
    "zero",
    "zero scale",
]
NAMES += ["column", "row", "diagonal", "blocks", "external", "column with external"]
NAMES += ["one of two", "window", "part of a sum", "gathered"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestEveryOperator:
    def test_adjoint_and_dense_twin(self, name, dtype):
        op = build(name, dtype)
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        assert dot_test(op) < tolerance and dot_test(op.H) < tolerance
        matrix = dense(op)
        scale = max(np.abs(matrix).max(), 1)
        np.testing.assert_allclose(op.todense(), matrix, atol=tolerance * scale)
        np.testing.assert_allclose(op.H.todense(), matrix.T, atol=tolerance * scale)

    def test_adjoint_is_an_involution(self, name, dtype):
        op = build(name, dtype)
        adjoint = op.H
        assert op.H is adjoint and op.T is adjoint and adjoint.H is op
        assert (adjoint.domain, adjoint.range) == (op.range, op.domain)
        assert op.conj() is op

    def test_dtype_is_kept(self, name, dtype):
        op = build(name, dtype)
        for scaled in (op, np.float64(2) * op, op * 2, (2.0 * op).H, (-op).H, op / 3, 2 * op.H):
            x = np.ones(scaled.shape[1])
            assert scaled.dtype == scaled.matvec(x).dtype == scaled._matvec(x).dtype == np.dtype(dtype)
            assert scaled.rmatvec(np.ones(scaled.shape[0])).dtype == np.dtype(dtype)

    def test_shapes_in_are_shapes_out(self, name, dtype):
        op = build(name, dtype)
        x = op.domain.random(0)
        y = op @ x
        assert y.shape == op.range.shape == op.dimsd and x.shape == op.dims and y.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(op(x), y)
        np.testing.assert_array_equal(op * x, y)
        np.testing.assert_array_equal(op @ np.asfortranarray(x), y)
        with pylops.disabled_ndarray_multiplication():
            np.testing.assert_array_equal(op @ x.ravel(), y.ravel())
        columns = np.stack([x.ravel(), 2 * x.ravel()], axis=1)
        assert (op @ columns).shape == (op.shape[0], 2)
        np.testing.assert_allclose((op @ columns)[:, 1], 2 * y.ravel(), rtol=1e-5, atol=1e-5)
        assert (op @ x.reshape(-1, 1)).shape == (op.shape[0], 1)
        assert op.matmat(np.zeros((op.shape[1], 0))).shape == (op.shape[0], 0)
        np.testing.assert_allclose(op.matmat(sparse.csr_array(columns)), op @ columns)

    def test_wrong_sizes_are_refused(self, name, dtype):
        op = build(name, dtype)
        m, n = op.shape
        for attempt in (
            lambda: op @ np.ones(n + 1),
            lambda: op.matvec(np.ones((n, 2))),
            lambda: op.rmatvec(np.ones(m + 1)),
            lambda: op.matmat(np.ones((n + 1, 2))),
            lambda: op.rmatmat(np.ones(m)),
        ):
            with pytest.raises(SpaceError, match=r"\d"):
                attempt()
        with pytest.raises(SpaceError, match="complex"):
            op @ np.ones(n, complex)

    def test_pickle(self, name, dtype):
        op = build(name, dtype)
        x = op.domain.random(0)
        expected, adjoint = op @ x, op.H
        copy = pickle.loads(pickle.dumps(op))
        assert str(copy) == str(op) and copy.H is not adjoint and copy.H.H is copy
        np.testing.assert_array_equal(copy @ x, expected)
        assert not set(copy.__dict__) & set(op._derived) - {"_adjoint_link"}

    def test_stock_views(self, name, dtype):
        op = build(name, dtype)
        x, y = op.domain.random(0).ravel(), op.range.random(1).ravel()
        scipy = aslinearoperator(op)
        np.testing.assert_array_equal(scipy.matvec(x), op.matvec(x))
        np.testing.assert_array_equal(scipy.rmatvec(y), op.rmatvec(y))
        assert isinstance(op, pylops.LinearOperator) and op.explicit is False
        plain = pylops.Identity(op.shape[0], dtype=dtype) * op
        np.testing.assert_array_equal(plain @ x, op.matvec(x))
        assert "\n" not in repr(op) and type(op).__name__ in repr(op)


PRINTED = {
    "A @ B @ C": lambda a, b, c: a @ (b @ c),
    "leaf": lambda a, b, c: a,
    "A.H": lambda a, b, c: a.H,
    "sum": lambda a, b, c: (a + c) @ b,
    "difference": lambda a, b, c: a - 2 * c,
    "scaled": lambda a, b, c: 2 * (a @ b),
    "minus": lambda a, b, c: -(a + c),
    "adjoint": lambda a, b, c: (a @ (b + c.H)).H,
    "column": lambda a, b, c: VStack([a, c]),
    "row": lambda a, b, c: 3 * HStack([a, c.H.H]),
    "diagonal": lambda a, b, c: BlockDiag([a, b]).H,
}
PRINTS = {
    "A @ B @ C": "A * B * C",
    "leaf": "A",
    "A.H": "A.H",
    "sum": "(A + C) * B",
    "difference": "A - 2 * C",
    "scaled": "2 * A * B",
    "minus": "-(A + C)",
    "adjoint": "(B.H + C) * A.H",
    "column": "[A; C]",
    "row": "3 * [A, C]",
    "diagonal": "diag(A.H, B.H)",
}


@pytest.mark.parametrize("name", PRINTED)
def test_str_is_the_mathematics(name):
    op = PRINTED[name](*operators())
    assert str(op) == f"{PRINTS[name]} : {op.domain} -> {op.range}"


def test_expressions_are_flat_and_simple():
    a, b, c = operators()
    assert (a @ (b @ c)).children == ((a @ b) @ c).children == (a, b, c)
    assert (a + (c + a)).children == (a, c, a)
    assert a @ Identity(a.domain) is a and Identity(a.range) @ a is a and 1 * a is a
    negated = -a
    assert -negated is a
    assert isinstance(2 * (3 * a), Scaled) and (2 * (3 * a)).scalar == 6
    assert sum([a, c]).children == (a, c)
    assert isinstance(a @ Zero(b.range, a.domain), Zero)
    assert isinstance((a @ b) ** 0, Identity)
    assert VStack([a, VStack([c, a])]).children == (a, c, a)
    assert isinstance((a @ b).H, Product) and isinstance((a + c).H, Sum) and isinstance(a.H, Adjoint)
    assert isinstance(VStack([a, c]).H, HStack) and VStack([a, c]).range == DirectSum([a.range, c.range])


def test_no_reference_cycles():
    gc.disable()
    try:
        a, b, _ = operators()
        product = a @ b
        assert product.H @ product.H.domain.random(0) is not None
        assert product @ product.domain.random(0) is not None
        alive = weakref.ref(a)
        del a, b, product, _
        assert alive() is None
    finally:
        gc.enable()


IMAGE, DATA = spaces()
OTHER = Space("model", [Axis("x", 6)], "float64")
REFUSED = {
    "product": (
        lambda a, b, c: a @ c,
        [
            "cannot form the product A * C",
            "the Matrix A, on the left, takes image[x=3, z=2]",
            "the Matrix C, on the right, gives data[r=2, t=4]",
            "Did you mean A.H on the left?",
        ],
    ),
    "other adjoint": (
        lambda a, b, c: a @ Matrix(IMAGE, OTHER, symbol="D"),
        ["the Matrix A, on the left, takes image[x=3, z=2]", "model[x=6]", "Did you mean D.H on the right?"],
    ),
    "equal size": (lambda a, b, c: a @ Matrix(OTHER, OTHER), ["image[x=3, z=2]", "model[x=6]"]),
    "dtypes": (lambda a, b, c: a @ operators("float32")[1], ["float64", "float32", "same dtype"]),
    "sum": (
        lambda a, b, c: a + b,
        [
            "cannot form the sum A + B",
            "the domain of the Matrix A, number 1, is image[x=3, z=2]",
            "that of the Matrix B, number 2, is data[r=2, t=4]",
            "Did you mean B.H?",
        ],
    ),
    "sum of products": (
        lambda a, b, c: a + a @ b + c,
        [
            "cannot form the sum A + A * B:",
            "that of A * B, number 2, is data[r=2, t=4]",
            "HStack([A, B]) has an input for each, and adds",
        ],
    ),
    "sum of ranges": (
        lambda a, b, c: a + Identity(IMAGE),
        ["the range of the Matrix A", "VStack([A, B]) keeps the results apart"],
    ),
    "sum of kin": (
        lambda a, b, c: Identity(IMAGE) + Identity(Space("image", [Axis("x", 5), Axis("z", 2)], "float64")),
        ["they differ in x (3 and 5)."],
    ),
    "products of kin": (
        lambda a, b, c: Identity(IMAGE) @ Identity(Space("image", [Axis("x", 3), Axis("z", 4)], "float64")),
        ["they differ in z (2 and 4)."],
    ),
    "other way round": (
        lambda a, b, c: Matrix(OTHER, IMAGE, symbol="D") @ a,
        ["D * A", "They fit the other way round."],
    ),
    "sum behind a plain term": (
        lambda a, b, c: Sum([as_operator(pylops.Identity(6)), Identity(IMAGE), Identity(OTHER)]),
        ["image[x=3, z=2]", "model[x=6]"],
    ),
    "column": (
        lambda a, b, c: VStack([a, b]),
        ["the column [A; B]", "the domain of the Matrix A, number 1", "data[r=2, t=4]", "Did you mean B.H?"],
    ),
    "row": (lambda a, b, c: HStack([a, b]), ["the row [A, B]", "the range of the Matrix A, number 1"]),
    "plain size": (lambda a, b, c: a @ pylops.Identity(7), ["image[x=3, z=2]", "array[7]"]),
    "complex": (lambda a, b, c: a @ np.zeros(6, complex), ["complex128", "take x.real"]),
    "complex scale": (lambda a, b, c: 2j * a, ["complex", "2j", "float64"]),
    "power": (lambda a, b, c: a**2, ["power", "image[x=3, z=2]"]),
    "sampling": (
        lambda a, b, c: Identity(Space("image", [Axis("x", 3, 1.0)])) @ Identity(Space("image", [Axis("x", 3, 2.0)])),
        ["step=1", "step=2"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mismatches_explain_themselves(name):
    attempt, words = REFUSED[name]
    with pytest.raises(SpaceError) as caught:
        attempt(*operators())
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, str(caught.value)


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda a: Identity(a), "Identity needs a space, got .*: take .domain or .range of it"),
        (lambda a: Identity(LinearMap(a)), r"Identity needs a space, got .*: take .domain\[0\] or .range of it"),
        (lambda a: Identity(3), r"Identity needs a space, got 3: such as F.domain or waves.model\(\)"),
        (lambda a: Identity((3, 2)), r"got \(3, 2\): such as"),
        (lambda a: Zero(a.domain, a), "the range of Zero needs a space"),
        (lambda a: Embedding(a, a.domain, 0), "Embedding: part needs a space"),
        (lambda a: Gather([a], [0]), "Gather: part 0 needs a space"),
        (lambda a: DirectSum([a.domain, a]), "part 1 of a direct sum needs a space"),
        (lambda a: DirectSum(3), "DirectSum takes a list of spaces, got 3"),
    ],
)
def test_what_is_no_space_is_refused(attempt, words):
    with pytest.raises(SpaceError, match=words):
        attempt(operators()[0])


@pytest.mark.parametrize("kind", [VStack, HStack, BlockDiag])
@pytest.mark.parametrize("ops", [3, np.ones((2, 2)).tolist()[:0], None, Identity(IMAGE)], ids=str)
def test_stacks_take_lists(kind, ops):
    with pytest.raises(ParameterError, match=f"{kind.__name__} takes a list of at least one operator"):
        kind(ops)
    a, _, c = operators()
    assert kind(op for op in (a, c)).children == (a, c)


def test_wrong_operands():
    a, _, _ = operators()
    x = np.ones(8)
    for attempt in (
        lambda: x * a,
        lambda: x @ a,
        lambda: a + 1,
        lambda: a @ None,
        lambda: None @ a,
        lambda: "x" * a,
    ):
        with pytest.raises((TypeError, SpaceError)):
            attempt()
    with pytest.raises(TypeError, match="write A.H @ x"):
        x @ a
    with pytest.raises(ValueError, match="write \\* instead"):
        2 @ a
    with pytest.raises(ParameterError, match="no inverse"):
        a**-1
    with pytest.raises(TypeError, match="MatrixMult"):
        VStack([a, x])
    for kind in (Sum, Product, VStack, HStack, BlockDiag):
        with pytest.raises(ParameterError, match="at least one"):
            kind([])


@pytest.mark.parametrize("scalar", [2, 2.5, np.float32(2.5), np.float64(2.5), np.int64(2), np.array(2.5), True])
def test_real_scalars_of_any_kind(scalar):
    a, _, _ = operators("float32")
    x = a.domain.random(0)
    for op in (scalar * a, a * scalar):
        assert (op @ x).dtype == np.float32
        np.testing.assert_allclose(op @ x, scalar * (a @ x), rtol=1e-6)


PLAIN = {
    "pylops": lambda: pylops.Diagonal(np.arange(1.0, 7)),
    "pylops product": lambda: pylops.Diagonal(np.arange(1.0, 7)) * pylops.FirstDerivative(6),
    "scipy": lambda: aslinearoperator(np.arange(36.0).reshape(6, 6)),
    "sparse": lambda: sparse.csr_array(np.arange(36.0).reshape(6, 6)),
    "real part of complex": lambda: (1j * pylops.Identity(6, dtype="complex128")).H.toreal(),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_operators_adopt_the_precision(name):
    a, _, _ = operators("float32")
    plain = PLAIN[name]()
    matrix = as_operator(plain).todense()
    op = a @ plain
    assert op.dtype == np.float32 and isinstance(op.children[1], External)
    np.testing.assert_allclose(op.todense(), a.matrix @ matrix, rtol=1e-4, atol=1e-4)
    assert dot_test(op) < 1e-5
    for mixed in (Identity(a.domain) + plain, Identity(a.domain) - plain):
        assert isinstance(mixed, Sum) and mixed.domain == a.domain and mixed.dtype == np.float32
    if isinstance(plain, pylops.LinearOperator):
        np.testing.assert_allclose((plain * a.H).todense(), matrix @ a.matrix.T, rtol=1e-4, atol=1e-4)


def test_complex_plain_operators_have_conjugate_adjoints():
    op = External(pylops.Diagonal(np.array([1 + 2j, 3j]), dtype="complex128"))
    assert dot_test(op) < 1e-12 and dot_test((2j * op).H) < 1e-12
    np.testing.assert_allclose((2j * op).H.todense(), np.diag([-2j * (1 - 2j), -2j * -3j]))
    np.testing.assert_allclose(op.T.todense(), np.diag([1 + 2j, 3j]))
    np.testing.assert_allclose(op.conj().todense(), np.diag([1 - 2j, -3j]))


def test_huge_shapes_do_not_overflow():
    huge = Space("huge", [Axis("x", 2**32), Axis("z", 2**32)])
    op = Zero(huge, huge)
    composed = 2 * (op + Identity(huge)) @ Identity(huge).H
    assert composed.shape == op.H.shape == (2**64, 2**64) and composed.dims == (2**32, 2**32)
    assert str(2**64) in repr(composed)


SOLVERS = {
    "cgls": lambda op, d: pylops.cgls(op, d, niter=60, tol=0)[0],
    "pylops.lsqr": lambda op, d: pylops.lsqr(op, d, niter=60)[0],
    "fista": lambda op, d: pylops.fista(op, d.ravel(), niter=400, eps=1e-8, alpha=1 / 30)[0],
    "irls": lambda op, d: pylops.irls(op, d.ravel(), nouter=3, engine="scipy", iter_lim=50)[0],
    "scipy.lsqr": lambda op, d: lsqr(op, d.ravel(), atol=0, btol=0, iter_lim=60)[0],
    "scipy.lsmr": lambda op, d: lsmr(op, d.ravel(), atol=0, btol=0, maxiter=60)[0],
    "division": lambda op, d: op / d.ravel(),
    "pyproximal": lambda op, d: pyproximal.optimization.primal.ProximalGradient(
        pyproximal.L2(Op=op, b=d.ravel()), pyproximal.L1(sigma=1e-9), x0=np.zeros(6), tau=1 / 30, niter=2000
    ),
}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stock_solvers(name, dtype):
    a, _, _ = operators(dtype)
    x = a.domain.random(5)
    found = SOLVERS[name](a, a @ x)
    np.testing.assert_allclose(np.ravel(found), x.ravel(), rtol=2e-2, atol=2e-2)


# ---- shots and parameters


SELECTIONS = {
    "int": (1, [1]),
    "negative": (-1, [2]),
    "numpy": (np.int64(0), [0]),
    "slice": (slice(1, 3), [1, 2]),
    "open slice": (slice(None, None, -1), [2, 1, 0]),
    "list": ([0, 2], [0, 2]),
    "negatives": ([-1, 0], [2, 0]),
    "array": (np.array([2, 1]), [2, 1]),
    "repeated": ([1, 1], [1, 1]),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_selected_shots(name):
    key, shots = SELECTIONS[name]
    w = World()
    op = VStack([w.Pr, 2 * w.Pr2]) @ w.A @ (w.Ps + w.Ps2).H
    part = op[key]
    assert op.shots == 3 and part.shots == len(shots) and part.domain == w.Ps.range.select(shots)
    assert part.range == DirectSum([w.Pr.range.select(shots), w.Pr2.range.select(shots)])
    x = part.domain.random(0)
    whole = [np.zeros_like(op.domain.zeros()) for _ in shots]
    for j, i in enumerate(shots):
        whole[j][i] = x[j]
        y, d = part.range.split(part @ x), op.range.split(op @ whole[j])
        for mine, theirs, sampler in zip(y, d, (w.Pr, w.Pr2), strict=True):
            np.testing.assert_allclose(
                sampler.range.select(shots).shot(mine, j), sampler.range.shot(theirs, i), rtol=1e-12
            )


@pytest.mark.parametrize(
    ("key", "error"),
    [(3, IndexError), (-4, IndexError), ([0, 5], IndexError), (slice(2, 2), IndexError), ([], IndexError)]
    + [([True, False, True], TypeError), (np.array([True]), TypeError), (1.5, TypeError), ("a", TypeError)],
)
def test_impossible_selections(key, error):
    w = World()
    with pytest.raises(error):
        (w.Pr @ w.A)[key]


def test_embeddings_put_what_they_are_given_in_its_place():
    image, _ = spaces()
    whole, x = Space("whole", [Axis("n", 2), Axis("x", 4), Axis("z", 2)], "float64"), image.random(0)
    expected = whole.zeros()
    expected[1, 1:4] = x
    op = Embedding(image, whole, (1, slice(1, 4)))
    np.testing.assert_array_equal(op @ x, expected)
    taken = op.H @ expected
    np.testing.assert_array_equal(taken, x)
    assert not np.may_share_memory(taken, expected)  # the caller may use its array again
    with pytest.raises(SpaceError, match=r"image\[x=3, z=2\] does not fit into whole.*have shape \(4, 2\)"):
        Embedding(image, whole, 0)


def test_parts_of_sums_follow_their_shots():
    w = World()
    pairs = DirectSum([w.Pr.range, w.Pr2.range])  # counts as one of three
    for number, part in enumerate([w.Ps.range, pairs, w.Pr.range]):
        op = Embedding.among([w.Ps.range, pairs, w.Pr.range], number)[[2, 0]]
        assert op.domain == part.select([2, 0]) and op.range.parts[1] == w.Pr.range.select([2, 0])
        pieces = split(
            op @ op.domain.random(0), [w.Ps.range.select([2, 0]), pairs.select([2, 0]), w.Pr.range.select([2, 0])]
        )
        assert [bool(piece.any()) for piece in pieces] == [i == number for i in range(3)]
        assert dot_test(op) < 1e-12
    gathered = Gather([pairs, w.Ps.range, pairs], [0, 1, 0])
    assert gathered.range.parts == (w.Pr.range, w.Pr2.range, w.Ps.range)
    x = gathered.domain.random(1)
    first, between, last = split(x, [pairs, w.Ps.range, pairs])
    np.testing.assert_array_equal(gathered @ x, np.concatenate([first + last, between.ravel()]))
    assert gathered[1].domain == gathered.domain.select([1]) and dot_test(gathered[1]) < 1e-12


def test_rules_are_defined_at_home():
    for rule in (getattr(rules, name) for name in rules.__all__ if name != "Rule"):
        assert rule.home.startswith("seisops.")
        with pytest.raises(RuntimeError, match=f"in {rule.home}, not in {__name__}"):
            rule.define(build)
    with pytest.raises(RuntimeError, match="not imported yet"):
        rules.Rule("seisops.nowhere")(1)


def test_selection_refusals_and_bystanders():
    w = World()
    a, _, _ = operators()
    with pytest.raises(TypeError, match="no shots"):
        a[0]
    with pytest.raises(SpaceError, match="Diagonal cannot be restricted to shots"):
        (w.Pr * pylops.Diagonal(np.ones(w.waves.size)))[0]
    with pytest.raises(SpaceError, match="does not define `select`"):
        Matrix(w.Pr.range, w.Pr.range)[0]
    with pytest.raises(SpaceError, match="different numbers of shots"):
        BlockDiag([w.Pr, w.Pr[:2]])[0]
    assert BlockDiag([w.Pr, a])[0].children[1] is a
    assert Identity(w.Pr.range)[0].domain == w.Pr.range.select([0])
    assert [part.shots for part in w.Pr] == [1, 1, 1]


def test_at_reaches_every_propagator_once():
    w = World()
    op = w.Pr @ (w.A + 2 * w.A.H) @ w.Ps.H
    moved = op.at(m=3.0)
    x = op.domain.random(0)
    np.testing.assert_allclose(moved @ x, 3 * (op @ x), rtol=1e-12)
    first, second = (leaf for leaf in moved.leaves() if leaf.symbol == "A")
    assert first is second and first.m == 3.0 and w.A.m == 1.0
    assert w.A.at(m=2.0).m == w.A.H.at(m=2.0).op.m == 2.0
    for bystander in (w.Pr, w.Pr.H, w.Pr @ w.Ps.H):
        with pytest.raises(ParameterError, match="m of .*depends on a medium"):
            bystander.at(m=1.0)


def test_map_leaves_keeps_what_does_not_change():
    a, b, c = operators()
    op = a @ (b + c.H)
    assert op.map_leaves(lambda leaf: leaf) is op
    assert list(op.leaves()) == [a, b, c]
    swapped = op.map_leaves(lambda leaf: a if leaf is c else leaf)
    assert swapped.children[1].children[1] is a.H


def test_ragged_selection_may_become_even():
    waves = Waves()
    sampler = Points.random(waves, 0, "P", [1, 2, 2])
    assert sampler.range.shape == (5, TIMES)
    assert sampler[1:].range.shape == (2, 2, TIMES) and sampler.domain.shape == (3, TIMES, CELLS)


def test_notebooks_show_spaces():
    import html

    from seisops.maps import LinearMap
    from seisops.operators import Identity
    from seisops.spaces import Axis, Space

    op = Identity(Space("a < b", [Axis("shot", 2), Axis("time", 3, 0.5)], "float64"))
    shown = html.unescape(op._repr_html_())
    assert "a < b[shot=2, time=3] float64; time: step=0.5" in shown and "6 x 6" in shown and "shots" in shown
    assert "a < b[" not in op._repr_html_() and "argument 0" in LinearMap(op)._repr_html_()
