"""How what is missing is installed: one hint for all extras."""

from __future__ import annotations

from pathlib import Path

__all__ = ["install", "missing"]


def missing(what: str, package: str, extra: str) -> ImportError:
    """What to raise where a package is needed that is not there.

    Parameters
    ----------
    what : str
        What needs it, with its verb: "Zarr stores need".
    package, extra : str
        The package, and the extra that brings it.
    """
    return ImportError(f"{what} {package}; install it with: {install(extra)}")


def install(extra: str) -> str:
    """The command that installs an extra, quoted as shells want it: of a checkout that is used in place, by its path.

    Parameters
    ----------
    extra : str
    """
    source = Path(__file__).resolve().parents[1]
    if (source / "pyproject.toml").is_file():  # no index need know the name
        return f'pip install -e "{source}[{extra}]"'
    return f'pip install "seisops[{extra}]"'
