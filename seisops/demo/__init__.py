"""The demonstration: model shots, migrate them, then invert them, linearly and nonlinearly."""

from seisops.demo.models import smoothed, thrust_belt
from seisops.demo.report import report, save
from seisops.demo.workflow import Result, Settings, run

__all__ = ["Result", "Settings", "report", "run", "save", "smoothed", "thrust_belt"]
