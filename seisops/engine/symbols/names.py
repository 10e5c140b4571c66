"""Names of symbols, as they stand in generated code and as arrays are bound to them."""

from __future__ import annotations

__all__ = ["PREFIX", "RECIPROCAL", "two_levels"]

#: Begins every name: short ones collide with those that Devito generates itself.
PREFIX = "so_"

#: Begins the name of a parameter's reciprocal; no coefficient's name begins with a digit.
RECIPROCAL = "1_over_"


def two_levels(name: str) -> str:
    """Name of the symbol that stands for a field where it is advanced in place."""
    return f"{name.removeprefix(PREFIX)}_in_place"
