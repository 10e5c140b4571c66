"""From a laptop to a cluster: the operator of the quick start, its shots on processes of their own.

Run it with ``python examples/cluster.py``, or ``python examples/cluster.py tcp://scheduler:8786`` for a cluster that runs.
The three lines that are not in a script without a cluster are marked.
"""

import sys

import numpy as np
from distributed import Client  # 1

import seisops as so


def main():
    client = Client(sys.argv[1]) if len(sys.argv) > 1 else Client(n_workers=2, threads_per_worker=1)  # 2
    grid = so.Grid(shape=(201, 101), spacing=10.0)
    time = so.Time(n=251, step=0.004)
    waves = so.Wavefield(grid, time, shots=8)
    vp = np.full(grid.shape, 1500.0)
    vp[:, 50:] = 2500.0
    Pr = so.Projection(waves, [(x, 20.0) for x in np.arange(100.0, 1901.0, 20.0)])
    Ps = so.Projection(waves, [[(x, 20.0)] for x in np.linspace(200.0, 1800.0, 8)])
    F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=vp)) * Ps.H
    F = so.dask.distribute(F, client)  # 3

    q = np.tile(so.ricker(time, f0=10.0), (8, 1, 1))
    d = F @ q
    print("data:", d.shape, "dot test:", f"{so.check.dot_test(F):.1e}")
    client.close()


if __name__ == "__main__":
    main()
