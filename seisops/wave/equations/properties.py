"""Properties of rocks, fluids and what lies in between, as media are given by them: units, and values that occur."""

from __future__ import annotations

from seisops.wave.quantities import Quantity

__all__ = ["DENSITY", "MODULUS", "P_VELOCITY", "QUALITY", "RELAXATION", "SQUARED_SLOWNESS", "S_VELOCITY"]

# ranges of velocity and density begin above what the largest values are in km/s and g/cm3
#: From soil to diamond.
P_VELOCITY = Quantity("m/s", (50.0, 20e3), positive=True, others={"km/s": 1e3})
#: Zero in fluids.
S_VELOCITY = Quantity("m/s", (0.0, 15e3), others={"km/s": 1e3}, summit=15.0)
#: Its plausible values are those of the velocity that it follows from.
SQUARED_SLOWNESS = Quantity("s2/m2", positive=True, others={"s2/km2": 1e-6})
#: From snow to osmium.
DENSITY = Quantity("kg/m3", (50.0, 25e3), positive=True, others={"g/cm3": 1e3})
#: Of a Lame parameter, of either sign or zero; the softest soils have some 10 kPa, the stiffest rocks some 100 GPa.
MODULUS = Quantity("Pa", others={"GPa": 1e9}, summit=1e4)
#: Below 5, standard linear solids make no constant Q.
QUALITY = Quantity("", (5.0, 1e9), positive=True)
#: Strength of a relaxation, zero where nothing is lost.
RELAXATION = Quantity("", (0.0, 10.0))
