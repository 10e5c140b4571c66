"""Inversion: misfits and losses for optimisers, a journal that lets them survive being killed, subsets and encodings."""

from seisops.inversion import constraints, loss
from seisops.inversion.batches import Batches
from seisops.inversion.bregman import linearized_bregman
from seisops.inversion.encoding import Encoding
from seisops.inversion.fingerprint import fingerprint
from seisops.inversion.journal import Journal, JournalWarning, Remembered
from seisops.inversion.least_squares import LeastSquares
from seisops.inversion.misfit import Misfit
from seisops.inversion.multiscale import multiscale
from seisops.inversion.posterior import Posterior, point_spread
from seisops.inversion.pqn import pqn
from seisops.inversion.progress import Progress
from seisops.inversion.reconstruction import WavefieldReconstruction
from seisops.inversion.spg import spg

__all__ = [
    "Batches",
    "Encoding",
    "Journal",
    "JournalWarning",
    "LeastSquares",
    "Misfit",
    "Posterior",
    "Progress",
    "Remembered",
    "WavefieldReconstruction",
    "constraints",
    "fingerprint",
    "linearized_bregman",
    "loss",
    "multiscale",
    "point_spread",
    "pqn",
    "spg",
]


def __dir__() -> list[str]:
    return __all__
