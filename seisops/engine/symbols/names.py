"""Names of symbols, as they stand in generated code and as arrays are bound to them."""

from __future__ import annotations

__all__ = ["CONSTANT", "PREFIX", "two_levels"]

#: Begins every name: short ones collide with those that Devito generates itself.
PREFIX = "so_"

#: Begins the name of what follows from parameters alone; no coefficient's name begins with a digit.
CONSTANT = "1_constant_"


def two_levels(name: str) -> str:
    """Name of the symbol that stands for a field where it is advanced in place."""
    return f"{name.removeprefix(PREFIX)}_in_place"
