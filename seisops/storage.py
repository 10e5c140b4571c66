# the name under which users import the policies; the text about them comes along
from seisops.wave.storage.policies import (
    Auto,
    Boundary,
    Checkpointed,
    Compressed,
    Disk,
    Fourier,
    Full,
    Host,
    Policy,
    Probed,
    Subsampled,
    __doc__,  # noqa: F401
    policy,
)

__all__ = [
    "Auto",
    "Boundary",
    "Checkpointed",
    "Compressed",
    "Disk",
    "Fourier",
    "Full",
    "Host",
    "Policy",
    "Probed",
    "Subsampled",
    "policy",
]


def __dir__() -> list[str]:
    return __all__
