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

#: Media other than the acoustic one, by what their cases are called, and what their problems differ in: S waves need a lower
#: frequency, and anisotropic ones a smaller step, or deepwave would take two of them for each sample.
OTHERS = {
    "density": {"medium": "density"},
    "elastic": {"medium": "elastic", "f0": 5.0},
    "vti": {"medium": "VTI", "step": 0.0008},
    "visco": {"medium": "viscoacoustic"},
    "tti": {"medium": "TTI", "step": 0.0008},
}
#: Codes beside seisops that have a medium, if not deepwave alone.
PEERS = {"acoustic": ("deepwave", "devito"), "TTI": ("devito",)}
#: What the layer of seisops differs in from the default, where that reflects more than the layer of the peer.
LAYERS = {"elastic": {"cells": 12, "multiaxial": 0.0}}
TITLES = {"density": "acoustic with density"}


def rivals(medium: str) -> tuple[str, ...]:
    """Codes beside seisops that have a medium."""
    return PEERS.get(medium, ("deepwave",))


def _others(task: str, about: str, rounds: int) -> list[Case]:
    """A case for every other medium: gradients of those that deepwave has."""
    found = []
    for name, changes in OTHERS.items():
        medium = changes["medium"]
        if task == "forward" or "deepwave" in rivals(medium):
            line, short = (p.with_(samples=n, **changes) for p, n in ((LINE, 1001), (SHORT, SHORT.samples)))
            called = f"{name}2d" if task == "forward" else f"{name}{task}2d"
            found.append(Case(called, task, f"2D {about}, {TITLES.get(medium, medium)}, 1 shot", line, short, rounds))
    return found


CASES = {
    case.name: case
    for case in (
        Case("forward2d", "forward", "2D forward, 1 shot", LINE, SHORT, 9),
        Case("gradient2d", "gradient", "2D gradient, 1 shot", LINE, SHORT, 5),
        Case("gradient2d8", "gradient", "2D gradient, 8 shots", LINE.with_(shots=8), SHORT.with_(shots=8), 3),
        Case("lsrtm2d", "lsrtm", "2D J and its adjoint, 8 shots", LINE.with_(shots=8), SHORT.with_(shots=8), 3),
        Case("forward3d", "forward", "3D forward, 1 shot", CUBE, SMALL_CUBE, 3, wide=80),
        Case("gradient3d", "gradient", "3D gradient, 1 shot", CUBE, SMALL_CUBE, 2, wide=0),
        *_others("forward", "forward", 9),
        *_others("gradient", "gradient", 3),
    )
}

POLICIES = ("auto", "Full", "Boundary", "Checkpointed", "Subsampled")
APPROXIMATE = {"Subsampled", "Fourier", "Compressed", "Probed"}


def contenders(case: Case, policies: tuple[str, ...], small: bool) -> list[Contender]:
    """Who takes part; the first is what the others' results are compared with."""
    return _BY_TASK[case.task](case, policies, SMALL_WIDE[case.problem.ndim] if small and case.wide else case.wide)


def _forward(case, policies, wide):
    layer = _layer(case)
    return [
        Contender("seisops", "seisops", layer),
        Contender("seisops, dispersion=False", "seisops", {"dispersion": False, **layer}),
        *([Contender("seisops, default layer", "seisops")] if layer else []),
        *_peers(case, wide),
    ]


def _layer(case) -> dict:
    """An option of seisops."""
    medium = case.problem.medium
    return {"layer": LAYERS[medium]} if medium in LAYERS else {}


def _peers(case, wide, every: int = 1):
    """Those that have the medium."""
    if every > 1:
        yield Contender(f"deepwave, every {every}th step", "deepwave", {"every": every}, approximate=True)
    elif "deepwave" in rivals(case.problem.medium):
        yield Contender("deepwave", "deepwave")
    if "devito" in rivals(case.problem.medium):
        yield Contender("devito", "devito", {"wide": wide})
        yield Contender("devito, wavefields reused", "devito", {"reuse": True, "wide": wide})
        if case.problem.medium == "TTI":  # along the axis, the order of seisops
            yield Contender("devito, order 16", "devito", {"order": 16, "reuse": True, "wide": wide})


def _policies(policies, prefix="seisops", **options):
    return [Contender(f"{prefix}, {n}", "seisops", {"policy": n, **options}, n in APPROXIMATE) for n in policies]


def _gradient(case, policies, wide):
    layer = _layer(case)
    return [
        *_policies(policies, **layer),
        *(_policies(policies[:1], "seisops, default layer") if layer else []),
        *_peers(case, wide, every=4 if case.problem.ndim == 3 else 1),  # the full history is the largest of all
    ]


def _lsrtm(case, policies, wide):
    first = Contender(f"seisops, {policies[0]}, first iteration", "seisops", {"policy": policies[0], "first": True})
    return [
        *_policies(policies),
        first,
        *_peers(case, wide),
        Contender("devito, u kept", "devito", {"keep": True, "reuse": True, "wide": wide}),
    ]


_BY_TASK = {"forward": _forward, "gradient": _gradient, "lsrtm": _lsrtm}

#: Reflection: a source in the centre, and one two cells from the edge; layers for this medium, and for a faster one.
DISC = Problem((201, 201), 10.0, 1601, 0.001, f0=10.0, velocity=2000.0, every=4)
SMALL_DISC = Problem((61, 61), 10.0, 501, 0.001, f0=10.0, velocity=2000.0, every=4)
#: By case: who, and with which options of its modeling; and what the problem differs in.
MIRRORS = {
    "reflection": ({}, {"seisops": {}, "deepwave": {}, "devito": {}}),
    "elasticreflection": (
        OTHERS["elastic"],
        {"seisops": {"layer": LAYERS["elastic"]}, "seisops, default layer": {}, "deepwave": {}},
    ),
}


def reflections(case: str, small: bool) -> tuple[Problem, list[Contender]]:
    """The problem, and who runs it with which variants; a sponge does not depend on the largest velocity."""
    changes, who = MIRRORS[case]
    p, cells = (SMALL_DISC, 60) if small else (DISC, 200)
    middle = p.shape[0] // 2
    variants = {"centre": {"source": (middle, middle)}, "edge": {"source": (2, middle)}}
    fast = {f"{name}, layer for 4 km/s": {**place, "fastest": 4000.0} for name, place in variants.items()}
    found = []
    for name, options in who.items():
        peer = name.split(",")[0]
        asked = variants if peer == "devito" else {**variants, **fast}
        found.append(Contender(name, peer, {"variants": asked, "cells": cells, "options": options}))
    return p.with_(**changes), found
