"""Surveys: shots with their own receivers, sources and time axes, from files that may be larger than memory."""

from seisops.survey.inspect import Finding, Info, check, info
from seisops.survey.shot import Shot
from seisops.survey.survey import Survey

__all__ = ["Finding", "Info", "Shot", "Survey", "check", "info"]


def __dir__() -> list[str]:
    return __all__
