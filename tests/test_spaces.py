"""Spaces: shapes, names, equality, conversion of arrays."""

import pickle

import numpy as np
import pytest

from seisops.errors import (
    AccuracyWarning,
    CompilerError,
    DispersionWarning,
    ParameterError,
    SeisopsError,
    SpaceError,
    UnfusedError,
    UnstableError,
)
from seisops.spaces import Anonymous, Axis, DirectSum, PerShot, Space, Traces, compatible, join, split

TIME = Axis("time", 5, 0.004, 0.0)
IMAGE = Space("image", [Axis("x", 3, 10.0, 0.0), Axis("z", 2)])
EVEN = Traces([4, 4, 4], TIME)
RAGGED = Traces([1, 0, 3], TIME)
BOTH = DirectSum([EVEN, IMAGE])
SPACES = [IMAGE, EVEN, RAGGED, BOTH, Anonymous((2, 3), "float64"), DirectSum([RAGGED]), Space("point", [])]


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (SpaceError, ValueError),
        (ParameterError, ValueError),
        (UnfusedError, MemoryError),
        (UnstableError, RuntimeError),
        (CompilerError, RuntimeError),
    ],
)
def test_errors_derive_from_builtins_and_pickle(error, builtin):
    assert issubclass(error, SeisopsError) and issubclass(error, builtin)
    copy = pickle.loads(pickle.dumps(error("what happened")))
    assert type(copy) is error and str(copy) == "what happened"
    assert issubclass(DispersionWarning, AccuracyWarning) and issubclass(AccuracyWarning, UserWarning)


@pytest.mark.parametrize(
    ("space", "text", "shape"),
    [
        (IMAGE, "image[x=3, z=2]", (3, 2)),
        (EVEN, "traces[shot=3, point=4, time=5]", (3, 4, 5)),
        (RAGGED, "traces[trace=4 in 3 shots, time=5]", (4, 5)),
        (BOTH, "traces[shot=3, point=4, time=5] (+) image[x=3, z=2]", (66,)),
        (Anonymous((2, 3), "float64"), "array[2, 3]", (2, 3)),
    ],
)
def test_shape_and_name(space, text, shape):
    assert str(space) == text
    assert space.shape == shape == space.zeros().shape == space.random(0).shape
    assert "\n" not in repr(space) and str(space.dtype) in repr(space)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_value_semantics(space):
    copy = pickle.loads(pickle.dumps(space))
    assert copy == space and hash(copy) == hash(space) and copy is not space
    assert [other for other in SPACES if other == space] == [space]
    assert space.zeros().dtype == space.random(1).dtype == space.dtype
    np.testing.assert_array_equal(space.random(1), space.random(np.random.default_rng(1)))
    with pytest.raises(AttributeError):
        space.name = "other"


@pytest.mark.parametrize(
    "other",
    [
        Traces([4, 4, 4], TIME, "float64"),
        Traces([4, 4, 4], Axis("time", 5, 0.002, 0.0)),
        Traces([4, 4, 4], TIME, name="sources"),
        Space("traces", EVEN.axes),
    ],
)
def test_equality_sees_dtype_sampling_name_and_class(other):
    assert other != EVEN and other.shape == EVEN.shape
    assert not compatible(other, EVEN)


def test_ragged_traces_of_equal_shape_but_other_counts_differ():
    assert Traces([1, 3], TIME) != Traces([3, 1], TIME)


def test_sizes_are_exact():
    huge = Space("huge", [Axis("x", 2**32), Axis("z", 2**32)])
    assert huge.size == 2**64 and huge.nbytes == 2**66


@pytest.mark.parametrize("dtype", ["int32", "float64", "bool", "float16", "longdouble"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_asarray_casts_and_orders(dtype, order):
    x = np.arange(60).reshape(3, 4, 5).astype(dtype)
    y = EVEN.asarray(np.array(x, order=order))
    assert y.dtype == np.float32 and y.flags.c_contiguous and y.shape == EVEN.shape
    np.testing.assert_array_equal(y, x.astype(np.float32))
    np.testing.assert_array_equal(EVEN.asarray(x.ravel()), y)
    strided = np.zeros((3, 4, 10), dtype)[..., ::2]
    assert EVEN.asarray(strided).flags.c_contiguous


def test_asarray_does_not_copy_what_fits():
    x = EVEN.random(0)
    assert EVEN.asarray(x) is x or np.shares_memory(EVEN.asarray(x), x)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((4, 3, 5)), ["(4, 3, 5)", "traces[shot=3, point=4, time=5]", "(60,)"]),
        (np.zeros(61), ["(61,)", "(3, 4, 5)"]),
        (np.zeros((3, 4, 5), complex), ["complex128", "real"]),
        (np.full((3, 4, 5), None), ["object"]),
        (np.full((3, 4, 5), "a"), ["<U1"]),
    ],
)
def test_asarray_refuses(x, words):
    with pytest.raises(SpaceError) as caught:
        EVEN.asarray(x)
    assert all(word in str(caught.value) for word in words)


def test_complex_spaces_take_real_and_complex_arrays():
    space = Anonymous((3,), "complex64")
    assert space.asarray([1, 2, 3]).dtype == np.complex64
    assert space.random(0).imag.any()


@pytest.mark.parametrize("traces", [EVEN, RAGGED], ids=str)
def test_shots_of_traces(traces):
    x = traces.random(0)
    flat = x.reshape(-1, 5)
    assert traces.shots == 3 and len(traces.offsets) == 4
    for i, count in enumerate(traces.counts):
        shot = traces.shot(x, i)
        assert shot.shape == (count, 5)
        np.testing.assert_array_equal(shot, flat[traces.offsets[i] : traces.offsets[i + 1]])
        assert count == 0 or np.shares_memory(shot, x)
        np.testing.assert_array_equal(traces.shot(x, i - 3), shot)
    with pytest.raises(IndexError):
        traces.shot(x, 3)
    with pytest.raises(SpaceError):
        traces.shot(x.T, 0)


@pytest.mark.parametrize(("shots", "counts"), [([2], (3,)), ([0, 2], (1, 3)), ([1, 1], (0, 0))])
def test_select_shots(shots, counts):
    selected = RAGGED.select(shots)
    assert isinstance(selected, Traces) and selected.counts == counts and selected.time_axis == TIME
    assert DirectSum([RAGGED, IMAGE]).select(shots).parts == (selected, IMAGE)
    assert IMAGE.select(shots) is IMAGE
    assert Space("images", [Axis("shot", 3), *IMAGE.axes]).select(shots).shape == (len(shots), 3, 2)


@pytest.mark.parametrize(
    ("space", "place"),
    [
        (EVEN, {"shot": 2, "trace": 1, "sample": 3}),
        (RAGGED, {"shot": 2, "trace": 1, "sample": 3}),
        (IMAGE, {"x": 1, "z": 1}),
        (BOTH, {"part": 1, "x": 1, "z": 1}),
        (PerShot([Traces([2], TIME), Traces([3], Axis("time", 2))]), {"shot": 1, "trace": 1, "sample": 1}),
    ],
    ids=str,
)
def test_what_is_not_finite_is_said_to_be_somewhere(space, place):
    x, spelled = space.zeros(), ", ".join(f"{name} {i}" for name, i in place.items())
    flat = x.reshape(-1)
    (element,) = (i for i in range(flat.size) if space.place(i) == place)
    space.require_finite(x, "x")
    flat[element], flat[-1] = np.nan, -np.inf
    with pytest.raises(ParameterError, match=f"x, .* has 2 of {space.size} values .* first nan at {spelled}: mend$"):
        space.require_finite(x, "x", "mend")
    with pytest.raises(ParameterError, match=f"has 1 of {2 * space.size} values .* first inf at {spelled}$"):
        space.require_finite(np.where(np.arange(2 * space.size) == 2 * element + 1, np.inf, 0).reshape(-1, 2), "X")


def test_select_must_be_defined_by_subclasses_with_shots():
    class Special(Space):
        pass

    with pytest.raises(SpaceError, match="Special"):
        Special("special", [Axis("shot", 3)]).select([0])


def test_direct_sum():
    x, image = EVEN.random(0), IMAGE.random(1)
    joined = BOTH.join([x, image.astype("float64")])
    assert joined.shape == BOTH.shape and joined.dtype == BOTH.dtype
    for part, expected in zip(BOTH.split(joined), [x, image], strict=True):
        np.testing.assert_array_equal(part, expected)
    assert DirectSum([DirectSum([EVEN, IMAGE]), RAGGED]) == DirectSum([EVEN, IMAGE, RAGGED])
    assert not BOTH.extended and BOTH.shots == 3
    with pytest.raises(SpaceError, match="2 parts"):
        BOTH.join([x])


def test_arrays_are_cut_by_any_spaces_that_make_up_a_sum():
    flat = np.arange(float(2 * BOTH.size + IMAGE.size))
    pieces = split(flat, [BOTH, IMAGE, BOTH])  # a sum among them stays whole
    assert [(p.shape, p.dtype) for p in pieces] == [(s.shape, s.dtype) for s in (BOTH, IMAGE, BOTH)]
    np.testing.assert_array_equal(join(pieces), flat)
    np.testing.assert_array_equal(join([pieces[1], pieces[0]])[: IMAGE.size], pieces[1].ravel())
    (whole,) = split(flat[: IMAGE.size].reshape(1, -1), [IMAGE])
    assert whole.shape == IMAGE.shape
    for wrong in (flat[1:], np.append(flat, 0.0)):
        with pytest.raises(SpaceError, match=f"an array of {wrong.size} elements is not in .*expected {flat.size}"):
            split(wrong, [BOTH, IMAGE, BOTH])


def test_what_is_cut_can_be_written_into():
    x = BOTH.zeros()
    for piece in (*split(x, [BOTH]), *split(x, BOTH.parts), *BOTH.split(x)):
        assert np.may_share_memory(piece, x)
        piece += 1
    np.testing.assert_array_equal(x, 3)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (EVEN, EVEN, True),
        (EVEN, Space("image", [Axis("x", 60)]), False),
        (EVEN, Anonymous((60,), "float32"), True),
        (EVEN, Anonymous((5, 12), "float64"), True),
        (EVEN, Anonymous((61,), "float32"), False),
        (EVEN, Anonymous((60,), "complex64"), False),
        (BOTH, DirectSum([EVEN, Anonymous((6,), "float32")]), True),
        (BOTH, DirectSum([Anonymous((6,), "float32"), Anonymous((60,), "float32")]), False),
        (BOTH, Anonymous((66,), "float32"), True),
        (BOTH, DirectSum([IMAGE, EVEN]), False),
    ],
)
def test_compatible(a, b, expected):
    assert compatible(a, b) is compatible(b, a) is expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: Space("integers", [], "int32"),
        lambda: Axis("x", -1),
        lambda: Traces([], TIME),
        lambda: DirectSum([]),
        lambda: DirectSum([EVEN, Space("image", [], "float64")]),
    ],
)
def test_impossible_spaces(make):
    with pytest.raises((ParameterError, SpaceError)):
        make()


@pytest.mark.parametrize("counts", [(2, 2, 2), (1, 3, 2)])
def test_taking_and_putting_shots(counts):
    traces = Traces(counts, Axis("time", 4), "float64")
    model = Space("model", [Axis("x", 5)], "float64")

    def round_trip(space):
        x, y = space.random(0), space.zeros()
        for shots in ([2, 0], [1]):
            part = space.take(x, shots)
            assert part.shape == space.select(shots).shape
            space.put(y, part, shots)
        return x, y

    x, y = round_trip(traces)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(traces.select([2]).shot(traces.take(x, [2]), 0), traces.shot(x, 2))
    x, y = round_trip(model)  # what shots share is added
    np.testing.assert_array_equal(y, 2 * x)
    x, y = round_trip(DirectSum([traces, model]))
    np.testing.assert_array_equal(y, np.concatenate([x[: traces.size], 2 * x[traces.size :]]))
