"""The page on media: its code runs as it stands, every medium has its section, and its tables are what classes declare."""

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


@pytest.mark.slow
def test_the_code_of_the_page_runs(text):
    parts = re.findall(r"^\.\. code-block:: python\n\n((?:(?:   [^\n]*)?\n)+)", text, re.MULTILINE)
    assert len(parts) > 5
    code = "\n".join(line.removeprefix("   ") for part in parts for line in part.splitlines())
    exec(compile(code, PAGE, "exec"), {})


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


def test_pictures_are_there(text, root):
    names = re.findall(r"^\.\. figure:: (\S+)$", text, re.MULTILINE)
    assert len(names) >= 3 and all((root / "docs" / name).is_file() for name in names)
