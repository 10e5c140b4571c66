"""What is at each face of a model: layers that absorb, a free or rigid surface, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seisops.errors import ParameterError
from seisops.wave.boundaries import PML

__all__ = ["FREE", "RIGID", "Faces"]

#: What is at a surface without a layer: nothing presses on it, or nothing moves it.
FREE, RIGID = "free", "rigid"
ENDS = ("min", "max")


@dataclass(frozen=True)
class Faces:
    """What is at the faces of a model.

    Attributes
    ----------
    layers : tuple of (object, object)
        The absorbing layers at the low and the high end of each axis, or None where there is none; all of one kind.
    surface : str
        What the low end of the last axis is: ``"free"``, ``"rigid"``, or neither: ``""``.
    """

    layers: tuple[tuple[Any, Any], ...]
    surface: str = ""

    @classmethod
    def of(
        cls, boundary, free_surface: bool, axes: tuple[str, ...], multiaxial: float = 0.0, transition: int = 0
    ) -> Faces:
        """Those that a user means by one boundary for all faces or by a mapping of some; see :class:`~seisops.Modeling`.

        `multiaxial` is the part of the damping that waves need along layers, and `transition` how many cells before them,
        where nothing is said of these.
        """
        top = f"{axes[-1]}_min"
        if free_surface not in (True, False):
            raise ParameterError(f"Modeling(free_surface={free_surface!r}): True for one at the top, or False")
        given = dict(boundary) if isinstance(boundary, Mapping) else {}
        names = [f"{axis}_{end}" for axis in axes for end in ENDS]
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ParameterError(
                f"Modeling(boundary=...): the grid has no face {unknown[0]!r}; it has {', '.join(names)}"
            )
        if free_surface and given.get(top, FREE) != FREE:
            raise ParameterError(
                f"Modeling(boundary={{{top!r}: {given[top]!r}}}, free_surface=True): it cannot be both, leave one out"
            )
        if free_surface:
            given[top] = FREE
        stated = {name: checked(one, name, top) for name, one in given.items()}
        if isinstance(boundary, Mapping):
            layers = [one for one in stated.values() if one is not None and not isinstance(one, str)]
            other = next((one for one in layers if not isinstance(one, PML)), PML())  # of the kind that is asked for
        else:
            other = checked(boundary, "", top)
        known = {name: stated.get(name, other) for name in names}
        surface = known[top] if isinstance(known[top], str) else ""
        layers = [[None if isinstance(known[f"{a}_{end}"], str) else known[f"{a}_{end}"] for end in ENDS] for a in axes]
        fit = [[one.suited(multiaxial, transition) if isinstance(one, PML) else one for one in pair] for pair in layers]
        found = cls(tuple((low, high) for low, high in fit), surface)
        if len({(type(one), getattr(one, "variant", "")) for one in found.all}) > 1:
            raise ParameterError(
                f"Modeling(boundary={boundary!r}): layers at different faces may differ in their numbers, but have to be of "
                f"one kind: all PML or all Sponge, with `multiaxial` or all without; faces that are not named have {other!r}"
            )
        return found

    def in_words(self, axes: Sequence[str]) -> str:
        """What is at the faces, in words."""
        names = [f"{axis}_{end}" for axis in axes for end in ENDS]
        layers = [one for pair in self.layers for one in pair]
        said = [f"{type(one).__name__} of {one.cells} cells" if one else "nothing" for one in layers]
        if self.surface:
            said[names.index(f"{axes[-1]}_min")] = f"{self.surface} surface"
        common = max(said, key=said.count)
        others = [f"{one} at {name}" for name, one in zip(names, said, strict=True) if one != common]
        return ", ".join([common, *others])

    @property
    def all(self) -> list:
        """The layers that there are."""
        return [layer for pair in self.layers for layer in pair if layer is not None]

    @property
    def kind(self):
        """A layer like all of them, or None."""
        return next(iter(self.all), None)

    @property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Cells around the model at both ends of each axis."""
        return tuple((low.around if low else 0, high.around if high else 0) for low, high in self.layers)

    @property
    def absorbing(self) -> tuple[tuple[int, int], ...]:
        """Those of them that are in the layers."""
        return tuple((low.cells if low else 0, high.cells if high else 0) for low, high in self.layers)

    @property
    def transitions(self) -> tuple[tuple[int, int], ...] | None:
        """Those of them in which the medium turns into that of the layer; None where it is the same in layers."""
        if self.kind is None or not self.kind.compact:
            return None
        return tuple(tuple((one.transition or 0) if one else 0 for one in pair) for pair in self.layers)

    @property
    def thickest(self) -> int:
        """Cells of the thickest layer."""
        return max((layer.cells for layer in self.all), default=0)

    def sides(self, closed: bool) -> tuple[tuple[str, ...], ...]:
        """The ends of each axis at which something lives in strips: layers, and differences that end at a surface."""
        out = [tuple(side for side, one in zip(("low", "high"), pair, strict=True) if one) for pair in self.layers]
        if closed:
            out[-1] = ("low", *out[-1])
        return tuple(out)


def checked(given, face: str, top: str):
    """A layer, None, or the name of a surface, which is at the top only."""
    said = f"boundary={{{face!r}: {given!r}}}" if face else f"boundary={given!r}"
    if isinstance(given, str):
        if given == "none":
            return None
        if given == "pml":
            return PML()
        if given not in (FREE, RIGID):
            raise ParameterError(f"Modeling({said}): use PML(), Sponge(), None, or at the top 'free' or 'rigid'")
        if face != top:
            raise ParameterError(
                f"Modeling({said}): a {given} surface is at the low end of the last axis only, as in "
                f"boundary={{{top!r}: {given!r}}}; elsewhere None leaves an edge that reflects"
            )
        return given
    if given is not None and (isinstance(given, type) or not hasattr(type(given), "stretch")):
        raise ParameterError(f"Modeling({said}): use PML(), Sponge() or None, or a mapping of faces to these")
    return given
