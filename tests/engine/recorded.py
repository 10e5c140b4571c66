"""The kernels that products launch, without launching any."""

from unittest import mock

import numpy as np
from cuda_on_host import Host

import seisops as so
from seisops.engine import backend
from seisops.engine.backend import cuda

__all__ = ["PRODUCTS", "Recorder", "recorded"]

PRODUCTS = ("forward", "adjoint", "born", "image")


class Recorder(Host):
    """Stands for a graphics processor that takes kernels and does nothing: wavefields stay zero.

    Attributes
    ----------
    sources : list of str
        The kernels, each once.
    """

    name = "recorder"

    def __init__(self):
        super().__init__(None)
        self.sources: list[str] = []

    def _function(self, source):
        self.sources.append(source)
        return lambda *arguments: None


def recorded(medium, dtype, products=PRODUCTS, boundary=None, space_order=8) -> list[str]:
    """The kernels of some products of modeling in a medium, by all that determines it where it is differentiated.

    They are those of large grids.
    """
    recorder, real, grid = Recorder(), backend.device, medium.grid
    so.memory.forget()
    with (
        mock.patch.object(cuda, "MANY", 10),
        mock.patch.object(backend, "device", lambda name: recorder if name == "recorder" else real(name)),
    ):
        waves = so.Wavefield(grid, so.Time(6, 0.0005), dtype=dtype, device="recorder")
        far = np.array(grid.extent)[:, 1]
        Pr = so.Projection(waves, [0.2 * far, 0.77 * far, 0.5 * far + 3], interpolation="linear")
        A = so.Modeling(waves, medium, boundary, space_order=space_order)
        F = Pr * A * so.Projection(waves, [0.6 * far + 1], interpolation="linear").H
        q, y = F.domain.random(1), F.range.random(2)
        if "forward" in products:
            F @ q
        if "adjoint" in products:
            F.H @ y
        if {"born", "image"} & {*products}:
            wrt = medium.stated
            J = so.Jacobian(F, q, wrt=wrt if len(wrt) > 1 else wrt[0], storage=so.storage.Full())
            if "born" in products:
                J.matvec(np.ones(J.shape[1], J.dtype))
            if "image" in products:
                J.rmatvec(y.ravel())
    so.memory.forget()
    return recorder.sources
