"""A wave equation of your own: write its residual, and get the operator, its adjoint and its Jacobian.

Run it with ``python examples/own_equation.py``; it takes about ten seconds.
"""

import numpy as np

import seisops as so


class Absorbing(so.WaveEquation):
    """Acoustic waves that lose energy: m p_tt + r p_t - laplace p = q."""

    parameters = ("m", "r")  # squared slowness in s2/m2, and resistance in s/m2
    relations = {"m": lambda vp: vp**-2}  # with its inverse, it offers the velocity in m/s beside m
    inverses = {"vp": lambda m: m**-0.5}
    fields = ("u",)

    def residual(self, fields, parameters):
        """The equation, in Devito's symbolic language; nothing here speaks of adjoints."""
        u, (m, r) = fields.u, parameters
        return (m * u.dt2 + r * u.dtc - u.laplace,)


grid = so.Grid(shape=(101, 81), spacing=10.0)
time = so.Time(n=151, step=0.004)
waves = so.Wavefield(grid, time, dtype="float64")

lossless = Absorbing(grid, vp=2000.0, r=0.0)
r = np.zeros(grid.shape)
r[:, 40:] = 2e-6

receivers = np.array([(x, 30.0) for x in np.arange(100.0, 901.0, 20.0)])
Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, [(500.0, 30.0)])
F = Pr * so.Modeling(waves, lossless) * Ps.H
q = so.ricker(time, f0=12.0)[None, None]

J = so.Jacobian(F, q, wrt=("m", "r"))
print(f"dot test of F {so.check.dot_test(F):.0e}, of J {so.check.dot_test(J, trials=3):.0e}")

# to first order, the Jacobian predicts what a little resistance does to the data
change = F.at(r=1e-3 * r) @ q - F @ q
predicted = J @ np.stack([np.zeros(grid.shape), 1e-3 * r])
print(f"change of the data: predicted to {np.linalg.norm(change - predicted) / np.linalg.norm(change):.0e}")
