"""A survey on the nodes of a batch system, through dask-jobqueue (``pip install dask-jobqueue``).

This is a template: queue, memory and times are those of your machine. Workers come and go with their jobs; shots of a job
that ends are worked off by another. It has not been run by the tests of seisops, which have no batch system.
"""

import numpy as np
from dask_jobqueue import SLURMCluster
from distributed import Client

import seisops as so


def main():
    cluster = SLURMCluster(
        queue="compute",
        cores=32,  # of a node ...
        processes=8,  # ... shared by so many workers; each solve takes the 4 threads of `distribute(threads=4)`
        memory="128GB",
        walltime="02:00:00",
        local_directory="$TMPDIR",  # where workers compile: a disk of the node
        worker_extra_args=["--lifetime", "110m", "--lifetime-stagger", "5m"],  # leave before the batch system ends them
    )
    cluster.adapt(minimum_jobs=1, maximum_jobs=16)
    client = Client(cluster)

    grid = so.Grid(shape=(801, 301), spacing=12.5)
    time = so.Time(n=1001, step=0.004)
    waves = so.Wavefield(grid, time, shots=400)
    vp = np.load("vp.npy")
    Pr = so.Projection(waves, [(x, 25.0) for x in np.arange(0.0, 10000.0, 25.0)])
    Ps = so.Projection(waves, [[(x, 12.5)] for x in np.linspace(0.0, 10000.0, 400)])
    F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=vp)) * Ps.H
    q = np.broadcast_to(so.ricker(time, f0=12.0), (400, 1, time.n))

    J = so.dask.distribute(so.Jacobian(F, q), client, threads=4, progress=True)
    image = J.H @ np.load("data.npy")
    np.save("image.npy", image)


if __name__ == "__main__":
    main()
