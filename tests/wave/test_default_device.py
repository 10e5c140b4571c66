"""Where waves are that do not say it: on the device of the block around them."""

import threading

import pytest

import seisops as so
from seisops.engine import backend
from seisops.errors import ParameterError


@pytest.fixture
def devices(monkeypatch):
    """Two more devices than there are."""

    class Named:
        def __init__(self, name):
            self.name = name

    known, real = {name: Named(name) for name in ("one", "two")}, backend.device
    monkeypatch.setattr(backend, "device", lambda name: known.get(name) or real(name))


def waves(**options):
    return so.Wavefield(so.Grid((20, 17), 10.0), so.Time(25, 0.002), **options)


def test_blocks_nest_and_end(devices):
    assert waves().device == "cpu"
    with so.default_device("one") as name:
        assert name == waves().device == "one"
        kept = waves(shots=3)
        with so.default_device("two"):
            assert waves().device == "two" and waves(device="cpu").device == "cpu"
        assert waves().device == "one"
    assert waves().device == "cpu"
    assert kept.device == kept.select([0]).device == "one"  # what was made stays where it is


def test_a_block_that_fails_ends_too(devices):
    with pytest.raises(KeyError), so.default_device("one"):
        raise KeyError
    assert waves().device == "cpu"


def test_other_threads_do_not_see_it(devices):
    found = []
    with so.default_device("one"):
        thread = threading.Thread(target=lambda: found.append(waves().device))
        thread.start()
        thread.join()
    assert found == ["cpu"]


def test_surveys_follow(devices):
    survey = so.Survey.from_arrays([[(50.0, 50.0)]], [[(100.0, 100.0)]], so.Time(25, 0.002))
    grid = so.Grid((20, 17), 10.0)
    with so.default_device("one"):
        assert survey.waves(grid).device == "one" and survey.waves(grid, device="cpu").device == "cpu"


def test_devices_that_are_not_there_are_refused():
    with pytest.raises(ParameterError, match="device='gpu'"), so.default_device("gpu"):
        pass
