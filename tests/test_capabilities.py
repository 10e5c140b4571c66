"""What the documentation says was measured: that nothing is missing, that it is as promised, and that it is so still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import BOUNDARIES
from registry import POLICIES, example, forms, optional

import seisops as so

# random sources are meant to hold every frequency
pytestmark = [
    pytest.mark.filterwarnings("ignore::seisops.DispersionWarning"),
    pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning"),
]

PAGE = "docs/capabilities.rst"
AGAIN = "measure it again: python benchmarks/capabilities.py --media"


@pytest.fixture(scope="module")
def bench(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root / "benchmarks")
        patch.syspath_prepend(root / "docs" / "_ext")
        import capabilities

        yield capabilities


@pytest.fixture(scope="module")
def everything(bench):
    return bench.all_of()


@pytest.fixture(scope="module")
def rows(bench):
    return bench.known()


def differs(bench, everything, rows):
    """What has no row that should have one, and what has one that should not."""
    return sorted(map(str, set(bench.wanted(everything, rows)) ^ set(rows)))


# ---- nothing is missing


def test_every_combination_has_a_row(bench, everything, rows):
    found = differs(bench, everything, rows)
    assert not found, f"{len(found)} rows are missing or too many, {AGAIN} ...: {found[:3]}"


def test_a_row_that_is_missing_or_too_many_is_noticed(bench, everything, rows):
    some = next(c for c in rows if c.what == "taylor" and c.boundary == "sponge")
    fewer = {c: row for c, row in rows.items() if c != some}
    assert differs(bench, everything, fewer) == [str(some)]
    other = replace(some, boundary="wall")
    assert differs(bench, everything, {**rows, other: rows[some]}) == [str(other)]


@pytest.mark.parametrize("dims", [2, 3])
def test_every_declaration_is_among_them(bench, rows, dims):
    """Media, what they are given by, boundaries, components, policies: without what enumerates them for the command."""
    measured = [c for c, row in rows.items() if c.dims == dims and row.value is not None]
    assert {c.medium for c in measured} == set(bench.media())
    for name, kind in bench.media().items():
        mine = [c for c in measured if c.medium == name]
        assert {c.given for c in mine} == {" ".join(given) for given in forms(kind, bench.grid(dims))}
        # an azimuth is refused in 2D, and nothing in 3D
        never = set(optional(kind)) - {p for c in mine for p in c.given.split()}
        assert not never or (dims == 2 and never <= {"phi"})
        given_by = {p for names in kind._declared.given for p in names if p not in kind.settings}
        none = {
            c.names[0]
            for c, r in rows.items()
            if c.solve[:3:2] == (name, dims) and r.refused == "data do not depend on it"
        }
        for what in ("J", "taylor"):
            assert {c.names[0] for c in mine if c.what == what} | none == given_by - never, (name, what)
        most = list(forms(kind, bench.grid(dims)))[-1]
        medium = example(kind, bench.grid(dims), most)
        for side in ("driven", "heard"):
            assert {getattr(c, side) for c in mine if c.what == "F"} == set(medium.components), (name, side)
        assert {c.dtype for c in mine} == {"float64", "float32"}
        assert {c.what for c in mine} == {"F", "extended", "J", "taylor"} | ({"off"} if dims == 2 else set())
        if dims == 3:
            continue
        assert {c.boundary for c in mine} == set(BOUNDARIES), name
        surfaces = {"", "free", "rigid"} if medium.surface or medium.tractions else {""}
        assert {c.surface for c in mine} == surfaces, name
    if dims == 2:
        stored = {c.storage for c in rows if c.storage}
        assert stored == {kept.kind.__name__ for kept in POLICIES.values()}


# ---- all is as promised


def test_every_row_is_as_promised(bench, rows):
    wrong = {str(c): fault for c, row in rows.items() if (fault := bench.fault(row))}
    assert not wrong, wrong


def test_a_row_that_is_not_is_noticed(bench, rows):
    def one(**like):
        return next(
            row for c, row in rows.items() if row.value is not None and all(getattr(c, n) == x for n, x in like.items())
        )

    exact, single = one(what="J", dtype="float64"), one(what="F", dtype="float32")
    rate, kept, lossy = (
        one(what="taylor"),
        one(what="off", storage="Checkpointed"),
        one(what="off", storage="Compressed"),
    )
    assert not any(map(bench.fault, (exact, single, rate, kept, lossy)))
    for row, value in (
        (exact, 1.1e-11),
        (exact, -1e-16),
        (single, 1.1e-5),
        (rate, 1.89),
        (rate, 2.11),
        (kept, 1e-16),
        (lossy, 1.0),
        (exact, float("nan")),
        (exact, None),
    ):
        assert bench.fault(replace(row, value=value)), (row, value)
    assert bench.fault(replace(exact, size=None)) and bench.fault(replace(exact, size=0.0))
    assert bench.fault(replace(exact, refused="not supported"))


# ---- it is so still

#: Kernels of nearly all of them are those of other tests.
SAMPLE = [
    dict(medium="Acoustic", given="", boundary="pml", what="F", dtype="float64"),
    dict(medium="Acoustic", given="", boundary="pml", what="F", dtype="float32"),
    dict(medium="Acoustic", given="", boundary="pml", what="extended", surface="free"),
    dict(medium="Acoustic", given="", boundary="pml", what="J", storage="Checkpointed"),
    dict(medium="Acoustic", given="", boundary="pml", what="off", storage="Compressed"),
    dict(medium="Acoustic", given="rho", boundary="pml", what="J", parameter="vp rho", storage="Full"),
    dict(medium="TTI", given="", boundary="none", what="taylor", parameter="epsilon vp delta"),
    dict(medium="ViscoAcoustic", given="", boundary="sponge", what="J", parameter="vp qp"),
    dict(medium="ViscoAcoustic", given="", boundary="pml", what="J", parameter="vp qp", storage="Boundary"),
    dict(medium="Elastic", boundary="pml", what="J", parameter="vp vs rho", driven="p", heard="p", storage="Full"),
    dict(medium="ViscoElastic", boundary="pml", what="F", driven="p", heard="p", dtype="float64"),
]


def picked(rows, dims=2, surface="", **like):
    """The one row that is like this, or the first of them."""
    like |= {"dims": dims, "surface": surface}
    return next(row for c, row in rows.items() if all(getattr(c, n) == x for n, x in like.items()))


def same(bench, row):
    """What a row has now, and whether that is what it says: a norm to rounding, an error as promised, or what is said."""
    now = bench.measured(row.of)
    if row.value is None or now.value is None:
        return now, now.refused == row.refused
    close = {"float64": 1e-6, "float32": 1e-3}[row.of.dtype]
    return now, bool(np.isclose(now.size, row.size, rtol=close)) and not bench.fault(now)


@pytest.mark.parametrize("like", SAMPLE, ids=lambda like: " ".join(map(str, like.values())))
def test_measured_again_it_is_the_same(bench, rows, like):
    row = picked(rows, **like)
    now, is_same = same(bench, row)
    assert is_same, f"docs/capabilities.csv has {row}, and now it is {now}: {AGAIN} {row.of.medium}"


def test_a_row_that_was_not_measured_is_noticed(bench, rows):
    row = picked(rows, **SAMPLE[0])
    for faked in (replace(row, size=1.001 * row.size), replace(row, value=None, size=None, refused="not supported")):
        assert not same(bench, faked)[1]


def test_what_is_refused_is_refused(bench, rows):
    """Of a solve, which is refused before anything is compiled: once for each medium and message."""
    refused = {(c.medium, row.refused): row for c, row in rows.items() if c.what == "F" and row.refused}
    for row in refused.values():
        now, is_same = same(bench, row)
        assert is_same, f"docs/capabilities.csv has {row}, and now it is {now}: {AGAIN} {row.of.medium}"


# ---- the page


@pytest.fixture
def measured(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "docs" / "_ext")
    import measured

    return measured


def test_every_medium_has_its_table(root, bench, measured, rows):
    text = (root / PAGE).read_text(encoding="utf-8")
    for name, kind in bench.media().items():
        assert text.count(f".. measured:: {name}\n") == 1, f"{PAGE} needs a section with '.. measured:: {name}'"
        head, *lines = measured.measured(name)
        said = {line[0].removeprefix("by ``").removesuffix("``"): dict(zip(head, line, strict=True)) for line in lines}
        assert set(said) == {"modeling", "extended sources", *kind._declared.arrays}
        assert head[1:10:3] == list(BOUNDARIES) and head[-2:] == ["single precision", "Taylor rate"]
        for parameter in set(said) - {"modeling", "extended sources"}:
            rates = [
                r.value
                for c, r in rows.items()
                if (c.medium, c.what, c.names[:1]) == (name, "taylor", (parameter,)) and not r.refused
            ]
            assert said[parameter]["Taylor rate"] == f"{max(rates, key=lambda rate: abs(rate - 2)):.2f}"
        worst = max(
            row.value
            for c, row in rows.items()
            if (c.medium, c.dims, c.boundary, c.surface, c.what, c.dtype) == (name, 2, "none", "", "F", "float64")
            and c.driven == c.heard
        )
        assert float(said["modeling"]["none"]) == pytest.approx(worst, rel=0.5) or worst == 0


def test_tables_of_policies_refusals_and_speed(bench, measured, rows):
    head, *lines = measured.policies()
    assert head[1:] == [f"``{kept.__name__}``" for kept in dict.fromkeys(k.kind for k in POLICIES.values())]
    assert {line[0].partition(",")[0] for line in lines} == set(bench.media())
    of = dict(zip(head, lines[0], strict=True))
    assert of["``Full``"] == of["``Checkpointed``"] == "0" and float(of["``Subsampled``"]) > 1e-5
    _, *lines = measured.refused()
    assert {line[2] for line in lines} == {row.refused for row in rows.values() if row.refused} and lines
    _, (*counts, _, _, _, _) = measured.measurements()
    assert sum(map(int, counts)) == len(rows)
    head, *lines = measured.speeds()
    forms_of = [(name, " ".join(g)) for name, kind in bench.media().items() for g in forms(kind, bench.grid(2))]
    assert [line[0] for line in lines] == [measured._called(*one) for one in forms_of]
    assert all(float(number) > 0 for line in lines for number in line[1:]) and lines[0][3:5] == ["1", "1"]


def test_the_command_writes_what_it_reads(bench, rows, tmp_path):
    some = list(rows.values())[:40]
    bench.write(tmp_path / "some.csv", [bench.written(row) for row in some])
    assert list(bench.known(tmp_path / "some.csv").values()) == some
    assert isinstance(bench.made("TTI", "", 2), so.TTI) and bench.known(tmp_path / "none.csv") == {}
