"""Names of symbols, as they stand in generated code and as arrays are bound to them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CONSTANT", "PREFIX", "displaced", "displacement", "two_levels"]

#: Begins every name: short ones collide with those that Devito generates itself.
PREFIX = "so_"

#: Begins the name of what follows from parameters alone; no coefficient's name begins with a digit.
CONSTANT = "1_constant_"


def two_levels(name: str) -> str:
    """Name of the symbol that stands for a field where it is advanced in place."""
    return f"{name.removeprefix(PREFIX)}_in_place"


def displaced(name: str, cells: Mapping[str, int]) -> str:
    """Name of the perturbation of a coefficient that scatters what the background is some cells away, by axis.

    No coefficient's name contains an @.
    """
    return name + "".join(f"@{axis}{n:+d}" for axis, n in cells.items() if n)


def displacement(name: str) -> tuple[str, dict[str, int]]:
    """The coefficient, and the cells, that :func:`displaced` made a name of."""
    coefficient, *cells = name.split("@")
    return coefficient, {one[0]: int(one[1:]) for one in cells}
