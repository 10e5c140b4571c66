"""What a cluster on one machine gains and costs: throughput of two workers, and the overhead of a shot.

Run it with ``python benchmarks/cluster.py`` on an idle machine. Sixteen shots are modeled in turn by one and by two
workers of one thread, and by this process with as many threads; then many shots that take no time at all.
"""

import time
from statistics import median

import numpy as np
from distributed import Client, LocalCluster

import seisops as so

SHOTS, ROUNDS, MANY = 16, 7, 200


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def survey(shots, shape, samples):
    grid, axis = so.Grid(shape, 10.0), so.Time(samples, 0.002)
    waves = so.Wavefield(grid, axis, shots=shots)
    width = 10.0 * (shape[0] - 1)
    Pr = so.Projection(waves, [(x, 20.0) for x in np.linspace(10.0, width - 10.0, 100)])
    Ps = so.Projection(waves, [[(x, 20.0)] for x in np.linspace(10.0, width - 10.0, shots)])
    F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=2000.0)) * Ps.H
    return F, np.tile(so.ricker(axis, f0=10.0, delay=0.1).astype("float32"), (shots, 1, 1))


def main():
    F, q = survey(SHOTS, (301, 151), 751)
    clusters = {
        n: Client(LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None), set_as_default=False)
        for n in (1, 2)
    }
    ways = {f"{n} workers of 1 thread": so.dask.distribute(F, client) for n, client in clusters.items()}
    ways["this process"] = F
    times = {name: [] for name in ways}
    for op in ways.values():
        op @ q  # compiles
    for _ in range(ROUNDS):
        for name, op in ways.items():
            times[name].append(seconds(lambda op=op: op @ q))
    for name, found in times.items():
        print(f"{name:24} {median(found):.3f} s for {SHOTS} shots")
    one, two, here = (median(found) for found in times.values())
    print(f"two workers against one: {one / two:.2f} times; against this process: {here / two:.2f} times")

    F, q = survey(MANY, (21, 21), 11)
    for size in (1, 10):
        D = so.dask.distribute(F, clusters[2], shots_per_task=size)
        D @ q
        spent = median(seconds(lambda D=D: D @ q) for _ in range(ROUNDS))
        own = median(seconds(lambda: F @ q) for _ in range(ROUNDS))
        print(
            f"{size:3} shots a task: {1e3 * spent / MANY:.1f} ms for a shot that takes {1e3 * own / MANY:.1f} ms here"
        )
    for client in clusters.values():
        client.cluster.close()
        client.close()


if __name__ == "__main__":
    main()
