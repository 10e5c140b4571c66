"""Texts that determine equations."""

import devito

from seisops.engine.derive.describe import describe
from seisops.engine.symbols.template import Template


def equations(t: Template) -> list:
    """Waves with density and a damping profile, and every third step saved."""
    u, m, b, a = t.field("u"), t.parameter("m"), t.parameter("b"), t.profile("a", t.dimensions[0])
    flow = sum((b * u.diff(d)).diff(d) for d in t.dimensions)
    step = devito.Eq(u.forward, 2 * u - u.backward + t.step.spacing**2 / m * (flow - a * u))
    return [step, devito.Eq(t.saved("history", 3), u - u.backward, implicit_dims=t.when(3))]


def changed(**options):
    return describe(equations(Template(**{"ndim": 2, "space_order": 4, "dtype": "float32", **options})))


def test_a_text_determines_equations():
    text = changed()
    assert changed() == text
    assert len({text, changed(dtype="float64"), changed(space_order=8), changed(ndim=3)}) == 4
    t = Template(2, 2, "float32")
    u = t.field("u")
    one, two = devito.Eq(u.forward, u.dx), devito.Eq(u.forward, u.dx(x0=t.dimensions[0] + t.dimensions[0].spacing / 2))
    assert str(one.lhs) == str(two.lhs) and describe([one]) != describe([two])
    assert describe([one]) != describe([devito.Inc(u.forward, u.dx)])
    assert describe([one]) != describe([devito.Eq(u.forward, u.dx, implicit_dims=t.when(2))])
    x = t.dimensions[0]
    above = [devito.CustomDimension("above", symbolic_min=1, symbolic_max=n, symbolic_size=n) for n in (2, 3)]
    assert len({describe([devito.Eq(u.subs(x, -a), u.subs(x, a))]) for a in above}) == 2
