"""Maps of which each shot has a model of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from seisops.errors import ParameterError
from seisops.maps import Map
from seisops.shotwise import Parts, ShotwiseMap, Together
from seisops.spaces import Axis, Space
from seisops.wave.jacobian import Parametric
from seisops.wave.modeling import Modeling

__all__ = ["PerShot"]


@dataclass(frozen=True)
class SelectedShot:
    """A map of some shots, for one of them."""

    map: Map

    def __call__(self, shot: int) -> Map:
        return self.map.select([shot])

    def made_of(self, shots: Sequence[int]) -> list:
        """The map for the shots."""
        return [self.map.select(shots)]

    def work(self, shot: int) -> int:
        """All take the same."""
        return 1


class PerShot(ShotwiseMap):
    r"""A map of which each shot has a model of its own, :math:`(m_1, \dots, m_n, q) \mapsto (F_s(m_s)\, q_s)_s`.

    What all shots of the map share, such as the model of a :class:`~seisops.Parametric`, has a leading axis of shots here:
    ``so.PerShot(so.Parametric(F))`` takes m of shape (shots, x, [y,] z), and its gradients have that shape. It is the
    convention of batches of models in machine learning, where each example has its model, its sources and its data.

    Parameters
    ----------
    G : Map
        A map that consists of shots, and has an argument that they share.

    Raises
    ------
    ParameterError
        If it is something else.

    Notes
    -----
    Each shot is solved on its own, with the discretisation (time step, layer) that all have in common: as many solves as
    of G, and side by side where those are. Kernels, and the memory for forward wavefields, are those of G.
    """

    def __init__(self, G: Map):
        what = f"PerShot({G!r:.80})"
        if not isinstance(G, Map):
            raise ParameterError(f"{what}: give a map, such as Parametric(F), the map (m, q) -> F(m) q")
        if G.shots is None or all(space.shots is not None for space in G.domain):
            raise ParameterError(f"{what}: {'it has no shots' if G.shots is None else 'shots share no argument of it'}")
        self.map = G
        domain = [space if space.shots is not None else _for_each(space, G.shots) for space in G.domain]
        super().__init__(Parts(SelectedShot(G), range(G.shots), True), domain, G.range, G)

    def _fingerprint(self) -> list:
        return [self.map]

    @property
    def _parts(self) -> tuple[Map, ...]:
        return (self.map,)

    @property
    def together(self) -> Together | None:
        """What works shots off side by side, as those of G are."""
        found = [modeling.together(room) for modeling, room in self._solves()]
        return found[0] if all(found) else None

    def _solves(self) -> Iterator[tuple[Modeling, Callable[[int], int] | None]]:
        """The solves in the map, and of those that are differentiated for how many shots at once there is memory."""
        for part in self.map._owners() if self.map._parts else (self.map,):
            op = part.F if isinstance(part, Parametric) else part
            for leaf in getattr(op, "leaves", tuple)():
                if isinstance(leaf, Modeling):
                    yield leaf, partial(part.at_once, leaf, self.shots) if isinstance(part, Parametric) else None

    @property
    def spare_bytes(self) -> int:
        """As of the map."""
        return self.map.spare_bytes

    def select(self, shots: Sequence[int]) -> PerShot:
        """Return the map of some shots."""
        return PerShot(self.map.select(shots))


def _for_each(space: Space, shots: int) -> Space:
    """The space of one array for each shot."""
    return Space(space.name, [Axis("shot", shots), *space.axes], space.dtype)
