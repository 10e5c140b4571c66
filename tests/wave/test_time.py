import pickle

import numpy as np
import pytest

from seisops.errors import ParameterError
from seisops.wave.time import Time


def test_properties():
    time = Time(n=501, step=0.004, start=-0.5)
    np.testing.assert_allclose(time.samples, np.linspace(-0.5, 1.5, 501), atol=1e-14)
    assert time.duration == pytest.approx(2.0) and time.nyquist == pytest.approx(125.0)
    assert repr(time) == "Time(n=501, step=0.004 s, -0.5 to 1.5 s)"
    assert pickle.loads(pickle.dumps(time)) == time and hash(time) == hash(Time(501, 0.004, -0.5))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(n=1, step=0.1), "Time n .* at least 2, got 1"),
        (dict(n=10.0, step=0.1), "got 10.0"),
        (dict(n=10, step=-0.1), "Time step must be a positive and finite number in seconds, got -0.1"),
        (dict(n=10, step=np.nan), "Time step"),
        (dict(n=10, step=0.1, start=np.inf), "Time start must be a finite number in seconds"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Time(**arguments)
