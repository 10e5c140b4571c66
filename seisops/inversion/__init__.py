"""Inversion: misfits and losses for optimisers, a journal that lets them survive being killed, subsets and encodings."""

from seisops.inversion import loss
from seisops.inversion.batches import Batches
from seisops.inversion.encoding import Encoding
from seisops.inversion.fingerprint import fingerprint
from seisops.inversion.journal import Journal, JournalWarning, Remembered
from seisops.inversion.least_squares import LeastSquares
from seisops.inversion.misfit import Misfit
from seisops.inversion.multiscale import multiscale
from seisops.inversion.posterior import Posterior, point_spread
from seisops.inversion.progress import Progress
from seisops.inversion.reconstruction import WavefieldReconstruction

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
    "fingerprint",
    "loss",
    "multiscale",
    "point_spread",
]


def __dir__() -> list[str]:
    return __all__
