"""Moduli of viscoelastic media, by their frequency: standard linear solids side by side.

With strain e and stress s of one kind (of volume, of shear), s = M(w) e in the frequency domain (in time e^{i w t}),

    M(w) / M(0) = 1/L sum_l (1 + i w tau_epsilon_l) / (1 + i w tau_sigma_l),

the relaxation times of strain and stress of L solids: Liu, Anderson & Kanamori (1976), Geophys. J. R. astr. Soc. 47; with
1/L, so that M(0) is what is left when all have relaxed, Carcione (2015), Wave Fields in Real Media, 3rd ed., ch. 2.
Of a text without 1/L, take tau_epsilon - tau_sigma L times as large.
All poles are at positive imaginary w, so that causes come first, also at the frequencies of `truth.heard_through`. Q is
Re M / Im M. Waves run at sqrt(M / rho), which is a callable velocity there and in `truth_elastic.Elastic`.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StandardLinearSolids:
    """M(w) / M(0) of a modulus.

    Parameters
    ----------
    tau_epsilon, tau_sigma : sequence of float
        Relaxation times in seconds, of strain and stress; as many of both as there are solids.
    """

    tau_epsilon: tuple[float, ...]
    tau_sigma: tuple[float, ...]

    def __call__(self, w):
        pairs = zip(self.tau_epsilon, self.tau_sigma, strict=True)
        return sum((1 + 1j * w * e) / (1 + 1j * w * s) for e, s in pairs) / len(self.tau_sigma)

    @property
    def unrelaxed(self):
        """M / M(0) for fast changes."""
        return np.mean(np.divide(self.tau_epsilon, self.tau_sigma))

    def velocity(self, relaxed):
        """Of waves whose modulus this is, by that of the slowest."""
        return lambda w: relaxed * np.sqrt(self(w))


def constant_q(q, tau):
    """One solid whose Q is `q` at w = 1 / tau, its smallest: ``q = 2 sqrt(tau_e tau_s) / (tau_e - tau_s)``."""
    ratio = (np.sqrt(1 + q**-2) + 1 / q) ** 2
    return StandardLinearSolids((tau * np.sqrt(ratio),), (tau / np.sqrt(ratio),))
