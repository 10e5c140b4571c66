"""What makes results other than they seem is said once, where the caller is; what is not warned of is right to 1 %."""

import warnings
from functools import cache

import numpy as np
import pytest

import seisops as so
from seisops.wave.suitability import warn

GRID = so.Grid((41, 31), 5.0)
ENOUGH = 0.01


@cache
def modeling(step, length=0.56, vp=2000.0, shots=1, surface=False):
    time = so.Time(round(length / step) + 1, step)
    waves = so.Wavefield(GRID, time, shots=shots, dtype="float64")
    return so.Modeling(waves, so.Acoustic(GRID, vp=vp), None, surface, space_order=4)


def shot(step):
    """Point to points: a new operator, that has not said anything."""
    A = modeling(step)
    Ps = so.Projection(A.domain, [[50.0, 75.0]])
    return so.Projection(A.domain, [[150.0, 75.0], [80.0, 75.0], [125.0, 30.0]]) * A * Ps.H


def said(attempt):
    """What it gives, and the warnings on the way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = attempt()
    assert all(w.filename == __file__ for w in caught), "blamed on someone else"
    return result, [str(w.message) for w in caught if issubclass(w.category, so.AccuracyWarning)]


def ricker(F, f0, delay=None):
    time = so.Time(F.domain.shape[-1], F.domain.axes[-1].step)
    return np.broadcast_to(so.ricker(time, f0, delay), F.domain.shape)


def off(x, reference):
    return float(np.linalg.norm(x - reference) / np.linalg.norm(reference))


# ---- sources and their samples


@cache
def fine(f0, delay):
    """Data at a millisecond, of a grid that is fine enough."""
    F = shot(0.001)
    return F @ ricker(F, f0, delay)


SOURCES = {
    "well sampled": (10.0, None, None),
    "just enough": (22.0, None, None),
    "a little too high": (24.0, None, ("the time axis is coarse", "0.008 s carry up to 50 Hz", "at most 0.004 s")),
    "far too high": (30.0, None, ("the time axis is coarse", "reaches 62.5 Hz", "12.4%", "at most 0.004 s")),
    "late enough": (10.0, 0.08, None),
    "a small jump": (10.0, 0.06, ("starts with a jump", "first sample is 0.18 of its largest", "delay it")),
    "a large jump": (10.0, 0.0, ("starts with a jump", "first sample is 1 of its largest")),
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_and_their_samples(name):
    f0, delay, says = SOURCES[name]
    F = shot(0.008)
    (d, again), messages = said(lambda: (F @ ricker(F, f0, delay), F @ ricker(F, f0, delay)))
    messages = [m for m in messages if not m.startswith("the grid is coarse")]
    error = off(d, fine(f0, delay)[..., ::8])
    if says is None:
        assert not messages and error < ENOUGH
    else:
        assert len(messages) == 1 and all(fragment in messages[0] for fragment in says), messages
        assert error > ENOUGH / 2


def test_jumps_are_not_blamed_on_the_time_axis():
    F, n = shot(0.004), np.arange(141)
    for q, words in (
        ((n > 20) * np.cos(np.pi * n / 280) ** 2, ("the source jumps at 0.", "smooth it")),
        (
            np.minimum(n / 60.0, 1.0) * (n > 10),
            ("ends with a jump", "last sample is 1 of its", "let the time axis go on"),
        ),
    ):
        _, messages = said(lambda q=q: shot(0.004) @ np.broadcast_to(q, F.domain.shape).astype(float))
        assert any(all(w in m for w in words) for m in messages), messages
        assert not any("time axis is coarse" in m for m in messages)


def test_zeros_do_not_silence_what_is_said_of_sources():
    F = shot(0.008)
    (_, messages), (_, later), (_, last) = (said(lambda q=q: F @ q) for q in (F.domain.zeros(), *[ricker(F, 30.0)] * 2))
    assert not messages and any("the time axis is coarse" in m for m in later) and not last


def test_an_inversion_says_it_once():
    F = shot(0.008)
    G, m = so.Parametric(F), np.full(GRID.shape, 2000.0**-2)
    _, messages = said(lambda: [G(m * (1 + 0.01 * n), ricker(F, 30.0)) for n in range(3)])
    assert len(messages) == 1, messages


@pytest.mark.parametrize("scale", [1e-35, 1e-20, 1e20, 1e38])
def test_strength_is_no_matter(scale):
    A = so.Modeling(so.Wavefield(GRID, so.Time(71, 0.008)), so.Acoustic(GRID, vp=2000.0), None, space_order=4)
    F = so.Projection(A.domain, [[150.0, 75.0]]) * A * so.Projection(A.domain, [[50.0, 75.0]]).H
    solve = so.fuse(F).solution()
    for f0, expected in ((10.0, 0), (30.0, 1)):
        q = (ricker(F, f0) * scale).astype("float32")
        with np.errstate(all="raise", under="ignore"):
            solve.said.clear(), solve.looked.clear()
            assert len(said(lambda q=q: warn(solve, [q]))[1]) == expected


@pytest.mark.parametrize(
    ("f0", "steps"),
    [(30.0, (0.008, 0.004)), (60.0, (0.008, 0.004, 0.002))],
)
def test_the_step_that_is_advised_is_enough_in_the_end(f0, steps):
    for step in steps:
        F = shot(step)
        _, messages = said(lambda F=F: F @ ricker(F, f0, 0.05))
        advised = [m for m in messages if f"use a step of at most {step / 2:g} s" in m]
        assert len(advised) == (step != steps[-1]), messages


def test_one_step_for_each_sample_carries_less():
    """Where the solver's steps are the samples, their dispersion can be undone in less of the band."""
    F = shot(0.001)
    _, messages = said(lambda: F @ ricker(F, 130.0, 0.05))
    assert sum("0.001 s carry up to 241.9 Hz undamped" in m and "at most 0.0006" in m for m in messages) == 1, messages


# ---- points on a free surface


def points(A, z, n=2, x=60.0):
    return so.Projection(A.domain, [[x + 20.0 * i, z] for i in range(n)])


@pytest.mark.parametrize("side", ["sources", "receivers"])
def test_points_that_a_free_surface_silences(side):
    A = modeling(0.004, length=0.12, shots=3, surface=True)
    top = so.Projection(A.domain, [[[60.0, 0.0]], [[60.0, 10.0]], [[70.0, 0.0]]])
    F = (top * A * points(A, 20.0).H) if side == "receivers" else (points(A, 20.0) * A * top.H)
    q = ricker(F, 20.0)
    d, messages = said(lambda: (F @ q, F @ q)[0])
    assert len(messages) == 1, messages
    assert messages[0].startswith(f"all {side} of shot 0 (1) and of 1 more lie on the free surface at z = 0 m")
    assert "data are exactly 0" in messages[0] and "by a cell (5 m)" in messages[0]
    assert not d[0].any() and d[1].any() and not d[2].any()


def test_what_a_part_was_fine_with_is_said_of_the_whole():
    A = modeling(0.004, length=0.12, shots=3, surface=True)
    F = so.Projection(A.domain, [[[60.0, 10.0]], [[60.0, 0.0]], [[70.0, 10.0]]]) * A * points(A, 20.0).H
    F = so.fuse(F)
    q = ricker(F, 20.0)
    assert not said(lambda: F[0] @ q[:1])[1] and not said(lambda: F[2] @ q[2:])[1]
    assert len(said(lambda: F @ q)[1]) == 1 and not said(lambda: F[1] @ q[1:2])[1]


def test_points_that_are_heard_are_not_spoken_of():
    A, B = (modeling(0.004, length=0.12, shots=3, surface=s) for s in (True, False))
    partly = so.Projection(A.domain, [[60.0, 0.0], [80.0, 5.0]])
    none = so.Projection(A.domain, [[[60.0, 5.0]], np.empty((0, 2)), [[60.0, 1e-3]]])
    for F in (partly * A * points(A, 20.0).H, points(A, 20.0) * A * partly.H, points(B, 0.0) * B * points(B, 0.0).H):
        assert not said(lambda F=F: F @ ricker(F, 20.0))[1]
    assert not said(lambda: so.Jacobian(none * A * partly.H, ricker(partly.H, 20.0)))[1]


def on_surface(A, **named):
    return so.Projection(A.domain, [[60.0, 0.0], [80.0, 0.0]], **named)


@pytest.mark.parametrize("side", ["sources", "receivers"])
def test_a_dipole_is_silent_if_all_of_it_is(side):
    """Along a free surface pressure has no slope; across it, it has."""
    A = modeling(0.004, length=0.12, shots=3, surface=True)
    for direction, silent in (((1.0, 0.0), True), ((1.0, 1.0), False), ((0.0, 1.0), False)):
        dipole = so.Dipole(A.domain, [[60.0, 0.0], [80.0, 0.0]], direction)
        F = dipole * A * points(A, 20.0).H if side == "receivers" else points(A, 20.0) * A * dipole.H
        d, messages = said(lambda F=F: F @ ricker(F, 20.0))
        assert (len(messages) == 1) == silent and d.any() != silent, (direction, messages)
    F = so.VStack([on_surface(A), points(A, 20.0)]) * A * points(A, 20.0).H
    (surface, below), messages = said(lambda: F.range.split(F @ ricker(F, 20.0)))
    assert len(messages) == 1 and "all receivers" in messages[0] and not surface.any() and below.any()


@pytest.mark.parametrize(("face", "unheard", "unfelt"), [("free", {"szz"}, set()), ("rigid", {"vx"}, {"vx", "sxx"})])
def test_what_vanishes_on_the_surface_of_a_solid(face, unheard, unfelt):
    """What is heard or driven there and is not spoken of has some effect, and what is has none, to the last bit."""
    waves = modeling(0.004, length=0.12).domain
    A = so.Modeling(waves, so.Elastic(GRID, 2000.0, 1000.0, 2000.0), {"z_min": face}, space_order=4)
    names = ("p", "vx", "vz", "sxx", "szz", "sxz")
    # of each another number of points, elsewhere: what is at the same points is one
    on = [
        so.Projection(waves, [[30.0 * n + 3.0 * k, 0.0] for k in range(n)], component=c) for n, c in enumerate(names, 1)
    ]
    below = so.Projection(waves, [[103.0, 22.0]], component="vz")

    def spoken_of(messages, side):
        assert all(m.startswith(f"all {side} of shot 0 (") and f"lie on the {face} surface" in m for m in messages)
        assert all("exactly 0, but for what is driven in the same nodes" in m for m in messages)
        return {names[int(m.partition("(")[2][0]) - 1] for m in messages}

    F = so.VStack(on) * A * below.H
    d, messages = said(lambda: F @ ricker(F, 20.0))
    assert spoken_of(messages, "receivers") == unheard
    assert {c for c, part in zip(names, F.range.split(d), strict=True) if not part.any()} == unheard

    G = below * A * so.VStack(on).H
    q = so.ricker(waves.time, 20.0)
    alone = [G.domain.join([q * np.ones(p.range.shape) * (p is one) for p in on]) for one in on]
    _, messages = said(lambda: G @ sum(alone))
    assert spoken_of(messages, "sources") == unfelt
    assert {c for c, one in zip(names, alone, strict=True) if not (G @ one).any()} == unfelt


def test_points_on_a_rigid_surface_of_water():
    """Nothing moves it, and it moves nothing."""
    waves = modeling(0.004, length=0.12).domain
    A = so.Modeling(waves, so.Elastic(GRID, 2000.0, 0.0, 1000.0), {"z_min": "rigid"}, space_order=4)
    F = (
        so.Projection(waves, [[60.0, 0.0]], component="vz")
        * A
        * so.Projection(waves, [[103.0, 22.0]], component="vz").H
    )
    d, messages = said(lambda: F @ ricker(F, 20.0))
    assert len(messages) == 1 and "lie on the rigid surface" in messages[0] and "0; move them" in messages[0]
    assert not d.any()


class Even(so.Acoustic):
    """A wavefield that does not vanish at a free surface."""

    surface = {"u": 1}


def test_where_the_field_does_not_vanish_points_on_the_surface_are_fine():
    waves = modeling(0.004, length=0.12, shots=3, surface=True).domain
    odd, even = (
        so.Modeling(waves, kind(GRID, vp=2000.0), None, free_surface=True, space_order=4)
        for kind in (so.Acoustic, Even)
    )
    heard = []
    for A in (odd, even):
        F = points(A, 0.0) * A * points(A, 20.0).H
        heard.append(len(said(lambda F=F: so.Jacobian(F, ricker(F, 20.0)))[1]))
    assert heard == [1, 0]


# ---- backgrounds that are kept at few steps


@cache
def born():
    """Data of a rough perturbation and an image, with the background at every step."""
    F = shot(0.004)
    q = ricker(F, 15.0)
    J = so.Jacobian(F, q, storage=so.storage.Full())
    dm = 1e-9 * np.random.default_rng(1).standard_normal(GRID.shape)
    y = F.at(vp=2050.0) @ q - F @ q
    return F, q, dm, y, J @ dm, J.H @ y


@pytest.mark.parametrize(
    ("every", "data", "image"),
    [
        (1, None, None),
        (4, None, None),
        (8, "Subsampled(8) keeps the background 93.75 times a second, but it reaches 41", None),
        (16, "data carry up to 125 Hz; use every=4 or less", "images see up to 41"),
        (50, "aliased from 0 Hz on", "use every=9 or less"),
    ],
)
def test_backgrounds_at_few_steps(every, data, image):
    F, q, dm, y, *exact = born()
    J = so.Jacobian(F, q, storage=so.storage.Subsampled(every))
    for product, says, reference in ((lambda: J @ dm, data, exact[0]), (lambda: J.H @ y, image, exact[1])):
        (x, _), messages = said(lambda product=product: (product(), product()))
        assert len(messages) == (says is not None) and all(says in m for m in messages), messages
        assert (off(x, reference) < ENOUGH) == (says is None)


# ---- once, of sources only


def test_a_background_is_looked_at_once_whoever_asks_for_it():
    F = shot(0.008)
    q, G = ricker(F, 30.0), so.Parametric(F)
    J, messages = said(lambda: so.Jacobian(F, q))
    assert len(messages) == 1 and "time axis" in messages[0]
    assert not said(lambda: (F @ q, so.Jacobian(F, q), J @ (1e-9 * np.ones(GRID.shape)), J.H @ (F @ q)))[1]
    assert not said(lambda: G.linearize(modeling(0.008).medium.m, q))[1]
    assert len(said(lambda: so.Parametric(shot(0.008)).linearize(modeling(0.008).medium.m, q))[1]) == 1


def test_residuals_are_no_sources():
    F = shot(0.008)
    assert not said(lambda: F.H @ np.random.default_rng(0).standard_normal(F.range.shape))[1]
    assert not said(lambda: F @ F.domain.zeros())[1]


def test_an_extended_source_is_a_source():
    A = modeling(0.008)
    F = points(A, 75.0) * A * so.Wavelet(A.domain, so.ricker(A.domain.time, 30.0)).H
    _, messages = said(lambda: F @ np.ones(F.domain.shape))
    assert len(messages) == 1 and "time axis is coarse" in messages[0]
