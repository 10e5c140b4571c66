"""Shots on windows of the model: the whole model where the window holds it, exact transposes and gradients anywhere."""

import pickle

import numpy as np
import pytest

import seisops as so
from seisops.check import dot_test, taylor_test
from seisops.inversion import fingerprint

GRID = so.Grid((60, 21), 10.0)
ROOM = {"boundary": so.PML(cells=6), "space_order": 4}


def medium(seed=0):
    rng = np.random.default_rng(seed)
    x, z = np.meshgrid(*(GRID.coordinates(a) for a in "xz"), indexing="ij")
    return so.Acoustic(GRID, vp=1600.0 + z + 0.1 * x + 20 * rng.standard_normal(GRID.shape))


def line(ragged=False, times=False):
    """Four shots along the model, each with receivers near it."""
    rng = np.random.default_rng(1)
    centres = [100.0, 230.0, 360.0, 490.0]
    sources = [np.array([(c, 20.0)]) for c in centres]
    receivers = [
        c + rng.uniform((-60, 10 - c), (60, 150 - c), (3 + i if ragged else 3, 2)) for i, c in enumerate(centres)
    ]
    axes = [so.Time(31 + 4 * i if times else 31, 0.002) for i in range(4)]
    return so.Survey.from_arrays(sources, receivers, axes)


def whole(survey, medium, dtype="float64"):
    w = survey.waves(GRID, dtype)
    return so.Projection(w, survey.receivers) * so.Modeling(w, medium, **ROOM) * so.Projection(w, survey.sources).H


@pytest.mark.parametrize("ragged", [False, True])
def test_without_a_margin_it_is_the_modeling_of_the_whole_grid(ragged):
    survey, model = line(ragged), medium()
    F, expected = survey.modeling(model, dtype="float64", **ROOM), whole(survey, model)
    assert F.domain == expected.domain and F.range == expected.range and F.shots == 4
    q, y = F.domain.random(0), F.range.random(1)
    np.testing.assert_allclose(F @ q, expected @ q, rtol=0, atol=1e-12 * np.abs(expected @ q).max())
    J, reference = F.jacobian(q), so.Jacobian(expected, q)
    image = reference.H @ y
    np.testing.assert_allclose(J.H @ y, image, rtol=0, atol=1e-12 * np.abs(image).max())
    np.testing.assert_allclose(F[[2, 0]] @ F.domain.take(q, [2, 0]), (F @ q)[[2, 0]] if not ragged else
                               F.range.take(F @ q, [2, 0]), rtol=0, atol=1e-12)  # fmt: skip


def test_the_jacobian_of_some_shots_takes_their_sources():
    F = line().modeling(medium(), margin=100.0, dtype="float64", **ROOM)
    q = F.domain.random(0)
    dm = F.jacobian(q).domain.random(1)
    born = F.jacobian(q) @ dm
    for shots in ([3, 1], [2, 2]):
        sources = q[shots] * np.array([1.0, 2.0])[:, None, None]
        expected = born[shots] * np.array([1.0, 2.0])[:, None, None]
        found = F[shots].jacobian(sources) @ dm
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_components_and_derivatives_by_several_parameters():
    """Of explosions and vertical velocities: as on the whole grid without a margin, exact transposes with one."""
    survey, vp = line(ragged=True), medium().vp
    rock = so.Elastic(GRID, vp, 0.5 * vp, 2000.0 + 0.1 * vp)
    heard = {"component": "vz", "source_component": "p"}
    F = survey.modeling(rock, dtype="float64", **heard, **ROOM)
    w = survey.waves(GRID, "float64")
    Pr, Ps = so.Projection(w, survey.receivers, component="vz"), so.Projection(w, survey.sources, component="p")
    expected = Pr * so.Modeling(w, rock, **ROOM) * Ps.H
    q, y = F.domain.random(0), F.range.random(1)
    d = expected @ q
    np.testing.assert_allclose(F @ q, d, rtol=0, atol=1e-12 * np.abs(d).max())
    wrt = ("vp", "rho")
    J, reference = F.jacobian(q, wrt=wrt), so.Jacobian(expected, q, wrt=wrt)
    assert J.domain == reference.domain and J.domain.shape == (2, *GRID.shape)
    for found, image in zip(J.H @ y, reference.H @ y, strict=True):
        assert image.any()
        np.testing.assert_allclose(found, image, rtol=0, atol=1e-12 * np.abs(image).max())

    narrow = survey.modeling(rock, margin=60.0, dtype="float64", **heard, **ROOM)
    J = narrow.jacobian(q, wrt)
    assert dot_test(J) < 1e-12 and dot_test(J[[3, 1]]) < 1e-12
    dm = J.domain.random(2)
    with narrow.as_map(wrt).linearize(rock.vp, rock.rho, q) as at:
        pushed = at.pushforward(*dm, None)
    np.testing.assert_allclose(J @ dm, pushed, rtol=0, atol=1e-12 * np.abs(pushed).max())

    forces = survey.modeling(rock, margin=60.0, dtype="float64", component="vz", source_component="vz", **ROOM)
    pressure = survey.modeling(rock, margin=60.0, dtype="float64", **ROOM)
    swapped = survey.modeling(rock, margin=60.0, dtype="float64", component="p", source_component="vz", **ROOM)
    assert len({fingerprint(op) for op in (narrow, forces, pressure, swapped, narrow.jacobian(q, "vp"), J)}) == 6


def test_a_margin_limits_what_a_shot_sees():
    survey, model = line(), medium()
    F, wide = survey.modeling(model, margin=100.0, **ROOM), survey.modeling(model, **ROOM)
    recipe = F.recipe
    assert [recipe.window(i)[1][0] for i in range(4)] < [GRID.shape[0]] * 4
    q = np.tile(so.ricker(so.Time(31, 0.002), f0=25.0), (4, 1, 1))
    d, expected = F @ q, wide @ q
    # what would come back from beyond the window within the record is absorbed in its layer
    assert np.linalg.norm(d - expected) < 0.02 * np.linalg.norm(expected)
    image = F.jacobian(q).H @ d
    touched = np.flatnonzero(np.abs(F[0].jacobian(q[:1]).H @ d[:1]).sum(axis=1))
    first, shape = recipe.window(0)
    assert first[0] <= touched.min() and touched.max() < first[0] + shape[0] < GRID.shape[0]
    assert image.shape == GRID.shape and image.any()


def test_the_operator_holds_no_data():
    survey = line()
    full = survey.with_data(survey.space.random(0))
    bare, loaded = (len(pickle.dumps(s.modeling(medium(), **ROOM))) for s in (survey, full))
    assert loaded == bare


@pytest.mark.parametrize("times", [False, True], ids=["one time axis", "several"])
def test_exact(times):
    survey, model = line(ragged=True, times=times), medium()
    F = survey.modeling(model, margin=60.0, dtype="float64", **ROOM)
    q = F.domain.random(0)
    assert dot_test(F) < 1e-12 and dot_test(F.jacobian(q)) < 1e-12
    G = F.as_map("vp")
    vp = model.vp
    result = taylor_test(G, (vp, q))
    assert abs(result.rate - 2) < 0.05
    with G.linearize(vp, q) as at:
        y = at.value
        np.testing.assert_allclose(at.value, F @ q, rtol=0, atol=1e-12 * np.abs(at.value).max())
        assert all(dot_test(jacobian) < 1e-12 for jacobian in at.jacobians)
        by_vp, by_q = at.pullback(y)
        np.testing.assert_allclose(by_vp, at.jacobians[0].H @ y, rtol=0, atol=1e-12 * np.abs(by_vp).max())
        np.testing.assert_allclose(by_q.ravel(), (F.H @ y).ravel(), rtol=0, atol=1e-12 * np.abs(by_q).max())
        pushed = at.pushforward(vp, None)
        np.testing.assert_allclose(pushed, (F.jacobian(q, "vp") @ vp), rtol=0, atol=1e-11 * np.abs(pushed).max())
    part = G.select([1, 2])
    np.testing.assert_allclose(part(vp, G.domain[1].take(q, [1, 2])).ravel(), G.range.take(y, [1, 2]).ravel())


def test_second_derivatives():
    survey, model = line(times=True), medium()
    G = survey.modeling(model, margin=60.0, dtype="float64", **ROOM).as_map()
    rng = np.random.default_rng(0)
    x = [model.m, G.domain[1].random(rng)]
    u, v = ([0.1 * a * rng.standard_normal(a.shape) for a in x] for _ in range(2))
    y = G.range.random(rng)
    forward, backward = (
        sum(np.vdot(a, b) for a, b in zip(G.second(x, s, y), t, strict=True)) for s, t in ((u, v), (v, u))
    )
    assert abs(forward - backward) < 1e-10 * abs(forward)


def test_other_media_keep_the_discretisation():
    survey, model = line(), medium()
    F = survey.modeling(model, margin=60.0, max_velocity=2200.0, **ROOM)
    q = F.domain.random(0)
    assert np.linalg.norm(F.at(vp=1.1 * model.vp) @ q - F @ q) > 0
    with pytest.raises(so.UnstableError):
        F.at(vp=4000.0)
    again = pickle.loads(pickle.dumps(F))
    np.testing.assert_array_equal(again @ q, F @ q)


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda s: s.modeling(medium(), margin=-1.0), "margin"),
        (lambda s: s.modeling("medium"), "needs a medium"),
        (lambda s: so.Survey.from_arrays([(5.0, 5.0)], [(5.0, 5000.0)], so.Time(31, 0.002)).modeling(medium()),
         r"receiver 0 of shot 0 is at \[5.0, 5000.0\] m, outside the model"),
        (lambda s: s.modeling(medium()).as_map("rho"), "no parameter 'rho'"),
        (lambda s: s.modeling(medium()).jacobian(np.zeros((4, 1, 31)), "rho"), "no parameter 'rho'"),
        (lambda s: s.modeling(medium()).jacobian(np.zeros((4, 1, 31)), ("m", "m")), "different names"),
        (lambda s: s.modeling(medium(), component="vz"), "no component 'vz'; it has 'p'"),
        (lambda s: s.modeling(medium(), source_component="vz"), "no component 'vz'; it has 'p'"),
    ],
)  # fmt: skip
def test_refusals(attempt, words):
    with pytest.raises(so.ParameterError, match=words):
        attempt(line())


@pytest.mark.parametrize("margin", [None, 60.0])
def test_plans_are_of_the_shot_that_takes_most(margin):
    survey, weak = line(ragged=True, times=margin is not None), so.storage.Subsampled(2)
    F = survey.modeling(medium(), margin, **ROOM)
    found = so.plan(F, trial=False)
    work = [np.prod(F.recipe.window(i)[1]) * shot.time.n for i, shot in enumerate(survey)]
    most = so.plan(F.recipe.modeling(int(np.argmax(work))), trial=False)
    assert (found.shots, found.cells, found.steps) == (4, most.cells, most.steps)
    assert found.solves("J.H d")[1] == 4 * most.solves("J.H d")[1]
    if margin is None:
        plain = so.plan(whole(survey, medium(), "float32"), trial=False)
        assert (found.shots, found.cells, found.steps) == (plain.shots, plain.cells, plain.steps)
    J, G = F.jacobian(F.domain.random(0), storage=weak), F.as_map(storage=weak)
    for x in (J, 2 * J.H, G, G.tangent()):
        plan = so.plan(x, trial=False)
        assert (plan.shots, plan.cells, plan.exactness) == (4, found.cells, weak.exactness)
