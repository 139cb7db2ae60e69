"""Gas between bubbles and broth, and the acid-base balance: shared by the models.

Equations are in the dialect. Concentrations in mmol/L, gas flows in L/h at vessel temperature and
pressure, pressures in atm, rates in 1/h, power input in W/m3.

Sources: van 't Riet (1979), Ind. Eng. Chem. Process Des. Dev. 18:357, coalescing form, for kLa;
Gray et al. (1996), Cytotechnology 22:65, for carbon dioxide removal that is limited by gas flow.
The acid-base balance takes pK 6.1 for carbon dioxide and 3e-14 mol2/L2 for water at 37 degC: from
general knowledge, not found in a source.
"""

from math import pi
from typing import NamedTuple

from plant_models.dialect import Maths, Scalar

GAS_CONSTANT = 0.082057e-3
"""L atm / (mmol K)."""

AIR_OXYGEN = 0.2095
AIR_CARBON_DIOXIDE = 4e-4
ATM_MMHG = 760.0


class Sparge(NamedTuple):
    """Total gas flow and its composition at the sparger.

    Attributes:
        flow: L/h.
        oxygen: mole fraction.
        carbon_dioxide: mole fraction.
    """

    flow: Scalar
    oxygen: Scalar
    carbon_dioxide: Scalar


def sparge(air: Scalar, oxygen: Scalar, carbon_dioxide: Scalar, nitrogen: Scalar) -> Sparge:
    """Mix the four gas flows, each in L/h. Total flow must be positive."""
    flow = air + oxygen + carbon_dioxide + nitrogen
    return Sparge(
        flow=flow,
        oxygen=(AIR_OXYGEN * air + oxygen) / flow,
        carbon_dioxide=(AIR_CARBON_DIOXIDE * air + carbon_dioxide) / flow,
    )


def transfer_coefficient(
    flow: Scalar, power_per_volume: Scalar, vessel_diameter: Scalar, k_kLa: Scalar, xp: Maths
) -> Scalar:
    """Oxygen transfer coefficient kLa, 1/h: 3600 k (P/V)^0.4 v_s^0.5 (van 't Riet 1979).

    Args:
        flow: total gas flow, L/h.
        power_per_volume: stirrer power input, W/m3.
        vessel_diameter: inner diameter, m.
        k_kLa: correlation constant, 0.026 in the source.
        xp: engine.
    """
    cubic_metres = flow / xp.quantity(3.6e6, "L/h/(m^3/s)")
    velocity = xp.number(cubic_metres / (pi * vessel_diameter**2 / 4), "m/s")
    power = xp.number(power_per_volume, "W/m^3")
    per_hour = xp.quantity(3600.0, "s/h") * k_kLa
    return per_hour * xp.exp(0.4 * xp.log(power)) * xp.sqrt(velocity)


def molar_energy(temperature: Scalar, xp: Maths) -> Scalar:
    """Gas constant times absolute temperature, L atm/mmol, of a temperature in degC."""
    kelvin = xp.quantity(1.0, "K") * (xp.number(temperature, "degC") + 273.15)
    return xp.quantity(GAS_CONSTANT, "L*atm/mmol/K") * kelvin


def oxygen_transfer(
    dissolved: Scalar,
    gas: Sparge,
    kLa: Scalar,
    H_O2: Scalar,
    pressure: Scalar,
    temperature: Scalar,
    volume: Scalar,
    xp: Maths,
) -> Scalar:
    """Oxygen transfer rate into the broth, mmol/(L h).

    Film resistance 1/kLa in series with the depletion of the bubbles, H R T V / Q.

    Args:
        dissolved: dissolved oxygen, mmol/L.
        gas: what is sparged.
        kLa: 1/h.
        H_O2: solubility, mmol/(L atm).
        pressure: atm.
        temperature: degC.
        volume: L.
        xp: engine.
    """
    depletion = H_O2 * molar_energy(temperature, xp) * volume / gas.flow
    return (H_O2 * pressure * gas.oxygen - dissolved) / (1 / kLa + depletion)


def carbon_dioxide_transfer(
    dissolved: Scalar,
    gas: Sparge,
    kLa: Scalar,
    H_CO2: Scalar,
    pressure: Scalar,
    temperature: Scalar,
    volume: Scalar,
    xp: Maths,
) -> Scalar:
    """Carbon dioxide stripping rate out of the broth, mmol/(L h).

    As `oxygen_transfer`, with 0.95 kLa; at scale the second resistance (gas flow) dominates, which
    reproduces the removal rate that Gray et al. (1996) measured in 500 L.
    """
    depletion = H_CO2 * molar_energy(temperature, xp) * volume / gas.flow
    return (dissolved - H_CO2 * pressure * gas.carbon_dioxide) / (1 / (0.95 * kLa) + depletion)


def respiratory_quotient(released: Scalar, taken_up: Scalar, xp: Maths) -> Scalar:
    """Carbon dioxide given to the gas per oxygen taken from it, mmol/mmol.

    C O / (O^2 + w^2) in place of C / O, with w of 0.001 mmol/(L h), less than an off-gas analyser
    resolves: zero where no oxygen is taken up, and smooth where the rate changes its sign.

    Args:
        released: carbon dioxide C, mmol/(L h).
        taken_up: oxygen O, mmol/(L h).
        xp: engine.
    """
    least = xp.quantity(1e-3, "mmol/L/h")
    return released * taken_up / (taken_up**2 + least**2)


def ph(carbon_dioxide: Scalar, alkalinity: Scalar, xp: Maths) -> Scalar:
    """The pH of a bicarbonate buffer with a strong-ion difference.

    The exact root of H^2 + S H - (K1 C + Kw) = 0, written without cancellation for S > 0.

    Args:
        carbon_dioxide: dissolved CO2, mmol/L.
        alkalinity: strong-ion difference S, mmol/L (positive).
        xp: engine.
    """
    per_mole = xp.quantity(1000.0, "mmol/mol")
    dissociation = xp.quantity(10**-6.1, "mol/L")
    acid = dissociation * carbon_dioxide / per_mole + xp.quantity(3e-14, "mol^2/L^2")
    strong_ions = alkalinity / per_mole
    hydrogen = 2 * acid / (strong_ions + xp.sqrt(strong_ions * strong_ions + 4 * acid))
    return -xp.log(xp.number(hydrogen, "mol/L")) / 2.302585092994046
