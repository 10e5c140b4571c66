"""What is compared: the cases, and who takes part in each."""

from __future__ import annotations

from dataclasses import dataclass, field

from .problem import Problem


@dataclass(frozen=True)
class Contender:
    """A code with its options.

    Attributes
    ----------
    name : str
    peer : str
        The module ``with_<peer>`` runs it.
    options : dict
        For the module's task.
    approximate : bool
        Whether it states that its result is not exact.
    """

    name: str
    peer: str
    options: dict = field(default_factory=dict)
    approximate: bool = False


@dataclass(frozen=True)
class Case:
    """A task and a problem of two sizes.

    Attributes
    ----------
    name, task, title : str
    problem, small : Problem
    rounds : int
    wide : int
        Cells of the sponge that the example solver's equation is checked with; 0 where its history would not fit.
    """

    name: str
    task: str
    title: str
    problem: Problem
    small: Problem
    rounds: int
    wide: int = 200


LINE = Problem((400, 200), 10.0, 2001, 0.001, receivers=200)
SHORT = Problem((160, 100), 10.0, 601, 0.001, receivers=80)
CUBE = Problem((101, 101, 101), 20.0, 590, 0.0017, receivers=51)
SMALL_CUBE = Problem((32, 32, 32), 20.0, 240, 0.0017, receivers=15)
SMALL_WIDE = {2: 80, 3: 0}  # in so few steps nothing comes back from the sponge in three dimensions

CASES = {
    case.name: case
    for case in (
        Case("forward2d", "forward", "2D forward, 1 shot", LINE, SHORT, 9),
        Case("gradient2d", "gradient", "2D gradient, 1 shot", LINE, SHORT, 5),
        Case("gradient2d8", "gradient", "2D gradient, 8 shots", LINE.with_(shots=8), SHORT.with_(shots=8), 3),
        Case("lsrtm2d", "lsrtm", "2D J and its adjoint, 8 shots", LINE.with_(shots=8), SHORT.with_(shots=8), 3),
        Case("forward3d", "forward", "3D forward, 1 shot", CUBE, SMALL_CUBE, 3, wide=80),
        Case("gradient3d", "gradient", "3D gradient, 1 shot", CUBE, SMALL_CUBE, 2, wide=0),
    )
}

POLICIES = ("auto", "Full", "Boundary", "Checkpointed", "Subsampled")
APPROXIMATE = {"Subsampled", "Fourier", "Compressed", "Probed"}


def contenders(case: Case, policies: tuple[str, ...], small: bool) -> list[Contender]:
    """Who takes part; the first is what the others' results are compared with."""
    return _BY_TASK[case.task](case, policies, SMALL_WIDE[case.problem.ndim] if small and case.wide else case.wide)


def _forward(case, policies, wide):
    return [
        Contender("seisops", "seisops"),
        Contender("seisops, dispersion=False", "seisops", {"dispersion": False}),
        Contender("deepwave", "deepwave"),
        *_devito(wide),
    ]


def _devito(wide):
    return [
        Contender("devito", "devito", {"wide": wide}),
        Contender("devito, wavefields reused", "devito", {"reuse": True, "wide": wide}),
    ]


def _policies(policies, prefix="seisops"):
    return [Contender(f"{prefix}, {n}", "seisops", {"policy": n}, n in APPROXIMATE) for n in policies]


def _gradient(case, policies, wide):
    if case.problem.ndim == 3:  # whose full history is the largest of all
        theirs = Contender("deepwave, every 4th step", "deepwave", {"every": 4}, approximate=True)
    else:
        theirs = Contender("deepwave", "deepwave")
    return [*_policies(policies), theirs, *_devito(wide)]


def _lsrtm(case, policies, wide):
    first = Contender(f"seisops, {policies[0]}, first iteration", "seisops", {"policy": policies[0], "first": True})
    return [
        *_policies(policies),
        first,
        Contender("deepwave", "deepwave"),
        *_devito(wide),
        Contender("devito, u kept", "devito", {"keep": True, "reuse": True, "wide": wide}),
    ]


_BY_TASK = {"forward": _forward, "gradient": _gradient, "lsrtm": _lsrtm}

#: Reflection: a source in the centre, and one two cells from the edge; layers for this medium, and for a faster one.
DISC = Problem((201, 201), 10.0, 1601, 0.001, f0=10.0, velocity=2000.0, every=4)
SMALL_DISC = Problem((61, 61), 10.0, 501, 0.001, f0=10.0, velocity=2000.0, every=4)


def reflections(peer: str, small: bool) -> tuple[Problem, Contender]:
    """The problem, and who runs it with which variants; a sponge does not depend on the largest velocity."""
    p, cells = (SMALL_DISC, 60) if small else (DISC, 200)
    middle = p.shape[0] // 2
    variants = {"centre": {"source": (middle, middle)}, "edge": {"source": (2, middle)}}
    if peer != "devito":
        fast = {f"{name}, layer for 4 km/s": {**changes, "fastest": 4000.0} for name, changes in variants.items()}
        variants.update(fast)
    return p, Contender(peer, peer, {"variants": variants, "cells": cells})
