"""
From SEG-Y to an image
======================

A survey reads shots from files that may be larger than memory, and makes the operator that models them: each shot on
its own part of the model and on its own time axis.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.demo import smoothed, thrust_belt
from seisops.survey import Survey, info

# %%
# First a file, of a streamer that a ship tows. In a real project this is what one is given.

grid = so.Grid(shape=(201, 81), spacing=15.0)
time = so.Time(n=351, step=0.004)
m = thrust_belt(grid) ** -2.0
sources = [(x, 15.0) for x in np.linspace(700.0, 2900.0, 12)]
streamer = [np.array([(x - offset, 15.0) for offset in np.arange(60.0, 661.0, 20.0)]) for x, _ in sources]
survey = Survey.from_arrays(sources, streamer, time)
q = np.tile(so.ricker(time, f0=10.0), (len(sources), 1, 1))
path = Path(tempfile.mkdtemp()) / "line.segy"
survey.with_data(survey.modeling(so.Acoustic(grid, m=m)) @ q).to_segy(path)

# %%
# What is in it? Headers are read now, traces when they are asked for.

print(*str(info(path)).splitlines()[1:12], sep="\n")
survey = Survey.from_segy(path)

# %%
# The operator is made of the survey: receivers move with the source, and each shot sees the model within 600 m of it.
# Images are on the whole grid.

m0 = smoothed(m, cells=5)
F = survey.modeling(so.Acoustic(grid, m=m0), margin=600.0)
J = F.jacobian(q)
M = so.data.Mute(F, velocity=1500.0, delay=0.25)
D = so.model.DepthScaling(J) * so.model.WaterMask(J, m0**-0.5)
image = D @ J.H @ M.H @ M @ survey.data

figure, (left, right) = plt.subplots(1, 2, figsize=(12.0, 3.8), layout="constrained", width_ratios=(1.0, 2.6))
so.plot.record(time, survey[6].data, survey[6].receivers, "a shot", ax=left)
so.plot.image(grid, image, "migrated", ax=right)
