"""Inversion band by band: it gets where one band does not, within bounds, and goes on where it was."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import seisops as so
from seisops.errors import AccuracyWarning, ParameterError
from seisops.inversion import Journal, multiscale


def crosswell(contrast=0.1, radius=110.0, shots=4):
    """Sources in one well, receivers in another, and a fast ball between them."""
    grid = so.Grid((41, 41), 15.0)
    time = so.Time(n=151, step=0.004)
    waves = so.Wavefield(grid, time, shots=shots)
    x, z = np.meshgrid(*(grid.coordinates(a) for a in grid.axes), indexing="ij")
    start = np.full(grid.shape, 2000.0)
    true = start * (1 + contrast * np.exp(-((x - 300) ** 2 + (z - 300) ** 2) / radius**2))
    A = so.Modeling(waves, so.Acoustic(grid, vp=start), max_velocity=3100.0)
    Ps = so.Projection(waves, [[(30.0, a)] for a in np.linspace(60.0, 540.0, shots)])
    F = so.Projection(waves, [(570.0, a) for a in grid.coordinates("z")[::2]]) * A * Ps.H
    q = np.tile(so.ricker(time, 12.0), (shots, 1, 1))
    return F, F.at(vp=true) @ q, q, start, true


BOUNDS = (1600.0, 3000.0)


def test_the_model_is_found_within_bounds():
    F, d, q, start, true = crosswell()
    P = so.model.Smooth(so.Parametric(F), 30.0)
    found = multiscale(F, d, q, (8.0, None), start, wrt="vp", bounds=BOUNDS, iterations=8, P=P, truth=true)
    assert [band.high for band in found.bands] == [8.0, None]
    for band in found.bands:
        assert band.misfits[-1] < 0.2 * band.misfits[0] and band.skipped < 0.1 and 8 <= band.evaluations < 20
        assert len(band.errors) == len(band.misfits) == 9
    assert found.bands[0].errors[0] == 1.0 and found.bands[1].errors[-1] < 0.5
    assert np.isclose(found.bands[1].errors[-1], np.linalg.norm(found.model - true) / np.linalg.norm(start - true))
    assert found.model.min() > BOUNDS[0] and found.model.max() < BOUNDS[1]


def test_low_frequencies_first_where_high_ones_skip_cycles():
    F, d, q, start, true = crosswell(contrast=0.4, radius=200.0)
    P = so.model.Smooth(so.Parametric(F), 30.0)
    with pytest.warns(AccuracyWarning, match="half a period"):
        at_once = multiscale(F, d, q, (None,), start, wrt="vp", bounds=BOUNDS, iterations=16, P=P, truth=true)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        steps = multiscale(F, d, q, (4.0, 7.0, None), start, wrt="vp", bounds=BOUNDS, iterations=8, P=P, truth=true)
    assert steps.bands[-1].errors[-1] < 0.5 * at_once.bands[0].errors[-1]
    assert at_once.bands[0].skipped > 0.2 > steps.bands[-1].skipped


def test_a_run_goes_on_where_it_was(tmp_path):
    F, d, q, start, _ = crosswell(shots=2)
    options = {"wrt": "vp", "bounds": BOUNDS, "iterations": 2, "progress": True}
    first = multiscale(F, d, q, (8.0, None), start, journal=tmp_path / "runs", **options)
    journal = Journal(tmp_path / "runs", problem="multiscale")
    again = multiscale(F, d, q, (8.0, None), start, journal=journal, **options)
    assert journal.computed == 0 and journal.replayed > 6 and np.array_equal(again.model, first.model)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"bands": ()}, "needs bands"),
        ({"bands": (-3.0,)}, "positive"),
        ({"bands": (200.0,)}, "below 125 Hz"),
        ({"bounds": (2500.0, 2800.0)}, "not between their bounds"),
        ({"wrt": ("vp", "rho")}, "no parameter|one parameter"),
        ({"iterations": 0}, "at least 1"),
        ({"bands": 8.0}, "needs bands"),
        ({"truth": np.nan * np.ones((41, 41))}, "NaN"),
        ({"P": lambda F: so.model.Bounded(so.Parametric(F), 1.0, 2.0)}, "makes the map"),
        ({"data": 0.0}, "all zero"),
    ],
)
def test_what_makes_no_sense_is_refused(change, match):
    F, d, q, start, _ = crosswell(shots=1)
    options = {"bands": (8.0,), "wrt": "vp", "bounds": BOUNDS, **change}
    if callable(options.get("P")):
        options["P"] = options["P"](F)
    data = options.pop("data", 1.0) * d
    with pytest.raises(ParameterError, match=match):
        multiscale(F, data, q, options.pop("bands"), start, **options)


def test_bounds_beyond_the_time_step_are_told_before_any_work(monkeypatch):
    F, d, q, start, _ = crosswell(shots=1)
    monkeypatch.setattr(so.Parametric, "linearize", lambda *x: pytest.fail("work was done"))
    with pytest.raises(so.UnstableError, match="max_velocity"):
        multiscale(F, d, q, (8.0,), start, wrt="vp", bounds=(1600.0, 5000.0))


def test_a_survey_with_windows():
    grid = so.Grid((61, 31), 15.0)
    start = np.full(grid.shape, 2000.0)
    true = start.copy()
    true[25:35, 12:18] = 2200.0
    time = [so.Time(n=121, step=0.004), so.Time(n=101, step=0.004)]
    receivers = [
        [(x, 420.0) for x in np.arange(100.0, 500.0, 40.0)],
        [(x, 420.0) for x in np.arange(300.0, 800.0, 40.0)],
    ]
    survey = so.Survey.from_arrays([(300.0, 30.0), (500.0, 30.0)], receivers, time)
    F = survey.modeling(so.Acoustic(grid, vp=start), margin=150.0, max_velocity=3100.0)
    q = np.concatenate([so.ricker(t, 10.0) for t in time])
    found = multiscale(F, F.at(vp=true) @ q, q, (6.0, None), start, wrt="vp", bounds=BOUNDS, iterations=4, truth=true)
    assert all(band.misfits[-1] < 0.5 * band.misfits[0] for band in found.bands)
    assert found.bands[-1].errors[-1] < 1.0


def test_progress_is_shown(capsys):
    F, d, q, start, _ = crosswell(shots=1)
    multiscale(F, d, q, (8.0,), start, wrt="vp", bounds=BOUNDS, iterations=1, progress=True)
    assert "of the first" in capsys.readouterr().err
