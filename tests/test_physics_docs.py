"""The page on media: every medium has its section, and its tables are what classes declare."""

import re

import pytest

PAGE = "docs/physics.rst"


@pytest.fixture
def text(root):
    return (root / PAGE).read_text(encoding="utf-8")


@pytest.fixture
def media(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "docs" / "_ext")
    import media

    return media


def test_every_medium_has_a_section(text, media):
    for name in media.media():
        assert text.count(f".. parameters:: {name}\n") == 1, f"{PAGE} needs a section with '.. parameters:: {name}'"
    for label in (":Components:", ":Derivatives:", ":Boundaries:", ":Limits:", ":Verified:"):
        assert text.count(label) >= len(media.media())


def test_the_table_says_what_classes_declare(media):
    head, *rows = media.capabilities()
    of = {re.search(r"seisops\.(\w+)`", row[0])[1]: dict(zip(head, row, strict=True)) for row in rows}
    assert set(of) == set(media.media()) >= {"Acoustic", "Elastic", "TTI", "ViscoAcoustic"}
    assert of["Acoustic"]["given by"] == "``vp`` or ``m``, [``rho``]"
    assert of["Elastic"]["components in 2D"] == "p, vx, vz, sxx, szz, sxz"
    assert of["Elastic"]["more in 3D"] == "vy, syy, sxy, syz" and of["TTI"]["more in 3D"] == "none"
    assert [of[name]["free surface"] for name in ("Acoustic", "Elastic")] == ["yes", "yes"]


def test_parameters_have_units_and_ranges(media):
    head, *rows = media.parameters("Elastic")
    of = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert of["``vs``"] == {
        "parameter": "``vs``",
        "instead of": "",
        "unit": "m/s",
        "plausible": "0 to 15000",
        "left out": "",
        "other units": "km/s",
    }
    assert of["``mu``"]["instead of"] == "``vs``" and of["``b``"]["instead of"] == "``rho``"


def test_the_table_of_units_has_every_parameter_once_for_each_meaning(media):
    head, *rows = media.quantities()
    assert head == ["parameter", "unit", "plausible", "other units", "of"]
    of = {row[0]: row for row in rows}
    assert {name.strip("`") for name in of} == {
        n for kind in media.media().values() for names in kind._declared.given for n in names
    }
    assert of["``vp``"][1:4] == ["m/s", "50 to 20000", "km/s"] and of["``vp``"][4].count(":ref:") == len(media.media())
    assert of["``qs``"][4] == ":ref:`ViscoElastic <physics-viscoelastic>`"


def test_pictures_are_there(text, root):
    names = re.findall(r"^\.\. figure:: (\S+)$", text, re.MULTILINE)
    assert len(names) >= 3 and all((root / "docs" / name).is_file() for name in names)
