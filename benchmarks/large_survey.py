"""Two thousand shots on disk, modeled and migrated by two workers: the memory of the process that asks for it.

Run it with ``python benchmarks/large_survey.py [SHOTS] [FOLDER]``. Prints the peak resident memory of this process while it
models the shots into files, and while it migrates a quarter, half and all of them.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from distributed import Client, LocalCluster

import seisops as so

RECEIVERS, SAMPLES = 400, 1001


class Peak:
    """Peak resident memory of this process in MiB, sampled every 20 ms."""

    def __enter__(self):
        self.value, self.process, self.running = 0, psutil.Process(os.getpid()), True
        self.thread = threading.Thread(target=self.watch)
        self.start = time.perf_counter()
        self.thread.start()
        return self

    def watch(self):
        while self.running:
            self.value = max(self.value, self.process.memory_info().rss / 2**20)
            time.sleep(0.02)

    def __exit__(self, *_):
        self.running = False
        self.thread.join()
        self.seconds = time.perf_counter() - self.start


def main(shots, folder, parts=(4, 2, 1)):
    grid = so.Grid((1001, 61), 10.0)
    axis = so.Time(SAMPLES, 0.002)
    x, z = np.meshgrid(*(grid.coordinates(a) for a in "xz"), indexing="ij")
    vp = 1500.0 + 1.5 * z + 300.0 * (z > 300.0 + 60.0 * np.sin(x / 400.0))
    smooth = 1500.0 + 1.5 * z + 150.0
    centres = np.linspace(1000.0, 9000.0, shots)
    offsets = np.linspace(-500.0, 500.0, RECEIVERS)
    survey = so.Survey.from_arrays(
        [(c, 20.0) for c in centres], [np.column_stack([c + offsets, np.full(RECEIVERS, 20.0)]) for c in centres], axis
    )
    print(
        f"{shots} shots of {RECEIVERS} traces of {SAMPLES} samples: {shots * RECEIVERS * SAMPLES * 4 / 2**30:.2f} GiB"
    )
    q = np.ascontiguousarray(np.broadcast_to(so.ricker(axis, f0=12.0).astype("float32"), (shots, 1, SAMPLES)))
    layer = {"margin": 200.0, "max_velocity": 2700.0, "space_order": 4}
    options = {"shots_per_task": 10, "progress": True, "keep_bytes": 0}
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster) as client:
        F = survey.modeling(so.Acoustic(grid, vp=vp), **layer)
        with Peak() as peak:
            data = so.dask.distribute(F, client, **options).save(q, survey, folder)
        size = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file()) / 2**30
        print(f"modeled into files of {size:.2f} GiB: peak {peak.value:.0f} MiB, {peak.seconds:.0f} s", flush=True)
        J = survey.modeling(so.Acoustic(grid, vp=smooth), **layer).jacobian(q)
        for n in (shots // part for part in parts):
            D = so.dask.distribute(J.select(range(n)), client, **options)
            with Peak() as peak:
                image = D.H @ data[:n]
            print(
                f"migrated {n} shots: peak {peak.value:.0f} MiB, {peak.seconds:.0f} s, image {np.abs(image).max():.3g}",
                flush=True,
            )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        main(int(arguments[0]) if arguments else 2000, arguments[1] if len(arguments) > 1 else scratch)
