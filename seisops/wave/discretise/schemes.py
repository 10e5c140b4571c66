"""The schemes of this process: what equations become on a grid, made once for all media, surveys and sizes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np

from seisops.engine import backend
from seisops.engine.arrays import VECTOR, whole
from seisops.engine.backend.compiled import chosen
from seisops.engine.facts import Layer, Reach
from seisops.engine.kept.announce import announced
from seisops.engine.kept.notes import Notes, is_noted, told
from seisops.engine.kernel import Kernel
from seisops.engine.scheme import Scheme
from seisops.engine.symbols.closure import closure
from seisops.engine.threads import making
from seisops.wave.discretise.interior import Interior
from seisops.wave.faces import Faces

if TYPE_CHECKING:
    from seisops.engine.derivation import Both, Derivation
    from seisops.wave.equation import WaveEquation

__all__ = ["SCHEMES", "Schemes"]

#: Equations without boundaries that are remembered, those used last.
MOST = 32


class Schemes:
    """What this process has made of equations: one scheme for each structure, whatever the padded grid's shape.

    The widths of the layer's strips are compiled in; grids narrower than a strip are a kind of their own.
    """

    def __init__(self):
        self._interiors: OrderedDict[tuple, Interior] = OrderedDict()
        self._reaches: dict[tuple, Reach] = {}
        self._derived: dict[tuple, Both] = {}
        self._schemes: dict[tuple, Scheme] = {}
        self._alive: WeakValueDictionary[tuple, Scheme] = WeakValueDictionary()  # those that operators have kept, too

    def interior(self, equation: WaveEquation, template: tuple[int, int, str]) -> Interior:
        """An equation without boundaries; those of one kind share it."""
        key = (equation.kind, template)
        with making:
            found = self._interiors.pop(key, None)
            if found is None:
                found = Notes(told(key)).get(("interior",), lambda: _interior(equation, template))
            self._interiors[key] = found
            while len(self._interiors) > MOST:
                self._interiors.popitem(last=False)
        return found

    def get(
        self,
        equation: WaveEquation,
        template: tuple[int, int, str],
        faces: Faces,
        shape: tuple[int, ...],
        on: str = "cpu",
    ) -> Scheme:
        """The scheme of an equation on padded grids like one of a given shape."""
        kind, halo = (
            (equation.kind, template, _layer_kind(faces.kind), faces.surface),
            self.interior(equation.primal, template).halo,
        )

        def both() -> Both:
            if kind not in self._derived:
                self._derived[kind] = _both(equation, (*template, halo), faces)
            return self._derived[kind]

        with making:
            if kind not in self._reaches:
                self._reaches[kind] = Notes(told(kind)).get(("reach",), lambda: both().reach())
            layer = _layer(self._reaches[kind], faces, (*template, halo), shape)
            key = (*kind, layer, on)
            scheme = self._alive.get(key)
            if scheme is None:

                def derive() -> Derivation:
                    from seisops.engine.derivation import Derivation

                    return Derivation(both(), layer)

                of = told(kind)
                notes = Notes(None if of is None else (*of, repr(layer)))
                scheme = self._alive[key] = Scheme((*template, halo), layer, backend.device(on), notes, derive)
            self._schemes[key] = scheme
            return scheme

    @property
    def kernels(self) -> list[Kernel]:
        """Those that have been made."""
        with making:
            return [kernel for scheme in self._alive.values() for kernel in scheme.kernels.values()]

    def forget(self) -> None:
        """Release all but the schemes of operators that are there, without kernels, which are made again when needed."""
        with making:
            for scheme in self._alive.values():
                scheme.forget()
            self._schemes.clear()
            self._derived.clear()
            self._reaches.clear()
            self._interiors.clear()


#: Those of this process.
SCHEMES = Schemes()


def _layer_kind(boundary) -> tuple | None:
    """What layers share that can share compiled code."""
    if boundary is None or is_noted(type(boundary)):
        return boundary and (type(boundary), boundary.variant)
    return type(boundary), boundary.stretch


def _interior(equation: WaveEquation, template: tuple[int, int, str]) -> Interior:
    chosen()  # of an equation this is derived first: what compiles it is noted before Devito is there
    with announced("deriving how far a wave equation looks", 1) as done:
        from seisops.wave.discretise.assembly import interior  # loads Devito, which takes seconds

        found = interior(equation, template)
        done()
    return found


def _both(equation: WaveEquation, template: tuple[int, int, str, int], faces: Faces) -> Both:
    with announced("deriving a wave equation and its adjoint", 1) as done:
        from seisops.engine.derivation import Both
        from seisops.engine.symbols.template import Template

        both = Both.of(equation.system(Template(*template), faces.kind, faces.surface))
        done()
    return both


def model_shape(shape: tuple[int, ...], faces: Faces) -> tuple[int, ...]:
    """Cells of a padded grid that are not in a layer."""
    return tuple(n - low - high for n, (low, high) in zip(shape, faces.absorbing, strict=True))


def _layer(reach: Reach, faces: Faces, template: tuple[int, int, str, int], shape: tuple[int, ...]) -> Layer:
    """Where the fields of a layer live on a padded grid of a given shape.

    On grids so narrow that what lies in one strip reaches the layer at the other end, or at its mirror image above a
    surface, they live on the whole grid.
    """
    if not reach.compact or min(model_shape(shape, faces)) <= reach.layer:
        return Layer()
    _, order, dtype, around = template
    cells = faces.thickest + reach.between if faces.all else 0
    if reach.closed:
        cells = max(cells, closure(order).rows)
    widths = [min(cells + reach.layer, n) for n in shape]
    # along rows, whole vectors: the rest of one costs nothing, and leaves the rows between the strips aligned
    widths[-1] = min(whole(widths[-1], VECTOR // np.dtype(dtype).itemsize), shape[-1])
    alone = [reach.lives_along(axis) for axis in range(len(shape))]
    sides = [pair if lives else () for pair, lives in zip(faces.sides(reach.closed), alone, strict=True)]
    # images are made as far beyond the grid as parameters are looked at, and near a surface with weights of its rows
    halo = around if reach.closed else min(reach.layer + reach.parameters, around)
    overlapping = any(len(ends) * width > n for ends, width, n in zip(sides, widths, shape, strict=True))
    return Layer(reach.compact, tuple(widths), tuple(sides), cells, halo, overlapping)
