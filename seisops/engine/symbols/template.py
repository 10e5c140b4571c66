"""The symbols that residuals are written with: fields, parameters and profiles on a grid of symbolic extent.

Nothing here ever owns data: a template grid is as small as Devito accepts, arrays of any extent are handed to
the compiled operator when it runs. Every name that ends up in generated code carries a prefix, since short names
collide with those that Devito generates itself.
"""

from __future__ import annotations

from functools import cached_property

import devito
import numpy as np
from devito.symbolics import IntDiv

from seisops.engine.symbols.names import PREFIX

__all__ = ["Template"]


class Template:
    """Symbols on an `ndim`-dimensional grid, with spatial derivatives of order `space_order`.

    Parameters
    ----------
    ndim : int
        2 (axes x, z) or 3 (axes x, y, z).
    space_order : int
        Order of accuracy of the spatial derivatives.
    dtype : str
        ``"float32"`` or ``"float64"``.
    halo : int, optional
        Cells around the grid that equations look at; by default as many as the order.
    """

    def __init__(self, ndim: int, space_order: int, dtype: str, halo: int | None = None):
        self.ndim, self.space_order, self.dtype = ndim, space_order, np.dtype(dtype).type
        self.halo = halo or space_order
        self._symbols: dict[str, object] = {}
        self._parameters: set[str] = set()

    @property
    def _around(self) -> tuple[int, int, int]:
        """Order and halo of functions, as Devito is told."""
        return self.space_order, self.halo, self.halo

    def _symbol(self, kind, name: str, **options):
        """One symbol for each name: Devito compares functions by identity."""
        name = PREFIX + name
        if name not in self._symbols:
            self._symbols[name] = kind(name=name, **options)
        return self._symbols[name]

    @cached_property
    def grid(self) -> devito.Grid:
        names = ("x", "z") if self.ndim == 2 else ("x", "y", "z")
        dimensions = tuple(
            devito.SpaceDimension(name, spacing=devito.types.Spacing(name=f"h_{name}", dtype=self.dtype, is_const=True))
            for name in names
        )
        return devito.Grid(shape=(2 * self.halo + 3,) * self.ndim, dimensions=dimensions, dtype=self.dtype)

    @property
    def dimensions(self) -> tuple:
        return self.grid.dimensions

    @property
    def time(self):
        """The loop over time steps (indexes saved arrays and traces)."""
        return self.grid.time_dim

    @property
    def step(self):
        """The stepping dimension (indexes the few time levels of a field)."""
        return self.grid.stepping_dim

    def field(self, name: str, levels: int = 3) -> devito.TimeFunction:
        """An unknown of the wave equation, of which `levels` time levels are kept."""
        return self._symbol(devito.TimeFunction, name, grid=self.grid, time_order=levels - 1, space_order=self._around)

    def parameter(self, name: str) -> devito.Function:
        """A coefficient that varies in space."""
        out = self._symbol(devito.Function, name, grid=self.grid, space_order=self._around)
        self._parameters.add(out.name)
        return out

    def is_parameter(self, function) -> bool:
        """Whether a function is a coefficient, which is the same in all marches of a medium."""
        return function.name in self._parameters

    def perturbation(self, name: str) -> devito.Function:
        """What is added to a coefficient."""
        return self._symbol(devito.Function, f"d_{name}", grid=self.grid, space_order=self._around)

    def image(self, name: str, halo: bool = False) -> devito.Function:
        """A spatial array; with `halo` if it goes beyond the grid."""
        return self._symbol(devito.Function, name, grid=self.grid, space_order=self._around if halo else 0)

    def profile(self, name: str, dimension) -> devito.Function:
        """A coefficient that varies along one axis only, such as the damping of an absorbing layer."""
        size = self.grid.shape[self.dimensions.index(dimension)]
        return self._symbol(
            devito.Function, name, grid=self.grid, dimensions=(dimension,), shape=(size,), space_order=self._around
        )

    def edge(self, name: str):
        """Values of every step at one end of an axis, in the cells of the grid."""
        return self.table(name, (self.time, *self.dimensions))

    def compact(self, function, dimension, side: str, width: int, halo: int) -> devito.Function:
        """The part of a field or profile that lives at one end of an axis, in `width` cells; fields have one time level."""
        name = f"{function.name.removeprefix(PREFIX)}_{side}{width}"
        if PREFIX + name in self._symbols:
            return self._symbols[PREFIX + name]
        strip = devito.Dimension(name=f"{PREFIX}{dimension.name}_{side}{width}")
        cells = width + 2 * halo  # Devito gives no halo to such dimensions
        sizes = dict(zip(self.dimensions, self.grid.shape, strict=True)) | {dimension: cells}
        spatial = [d for d in function.dimensions if d in self.dimensions]
        return self._symbol(
            devito.Function,
            name,
            grid=self.grid,
            dimensions=tuple(strip if d is dimension else d for d in spatial),
            shape=tuple(sizes[d] for d in spatial),
            space_order=self._around,
        )

    def saved(self, name: str, every: int = 1, halo: bool = False):
        """A field kept at every `every`-th time step, at the loop's step; with `halo` if derivatives are taken of it."""
        order = self._around if halo else 0
        if every == 1:
            return self._symbol(devito.TimeFunction, name, grid=self.grid, save=3, time_order=0, space_order=order)
        level = devito.Dimension(name=f"{PREFIX}level{every}")
        kept = self._symbol(
            devito.Function,
            name,
            grid=self.grid,
            dimensions=(level, *self.dimensions),
            shape=(3, *self.grid.shape),
            space_order=order,
        )
        return kept.subs(kept.dimensions[0], IntDiv(self.time, every))

    def present(self, name: str, halo: bool = False) -> devito.TimeFunction:
        """A field at the loop's step only; with `halo` if derivatives are taken of it."""
        order = self._around if halo else 0
        return self._symbol(devito.TimeFunction, name, grid=self.grid, time_order=0, space_order=order)

    def when(self, every: int) -> tuple:
        """Implicit dimension of equations that hold at every `every`-th step only; empty for all steps."""
        if every == 1:
            return ()
        return (devito.ConditionalDimension(f"{PREFIX}every{every}", parent=self.time, factor=every),)

    def table(self, name: str, dimensions: tuple, dtype=None) -> devito.Function:
        """An array over dimensions other than the grid's."""
        return self._symbol(
            devito.Function,
            name,
            dimensions=dimensions,
            shape=(3,) * len(dimensions),
            space_order=0,
            dtype=dtype or self.dtype,
        )

    def signal(self, name: str) -> devito.Function:
        """A function of time alone, one value a step."""
        return self.table(name, (self.time,))
