"""The tag map as people write it: nodes, units, names, and every fault told at once."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mpc_agent.drivers.casting import INTEGER_RANGES, cast_number
from mpc_agent.drivers.nodes import NodeKind, parse_node
from mpc_agent.drivers.tag_building import TagMapError, build_tag_map
from mpc_agent.drivers.tagmap import (
    DriverSettings,
    OpcuaSettings,
    SimulatedSettings,
    TagMapSettings,
    is_loopback,
)
from mpc_agent.drivers.units import UnitMismatchError, conversion
from plant_models.library import MODELS
from tests.examples_drivers import INPUT_UNITS, OUTPUT_UNITS, TAGS, tag_map


@pytest.mark.parametrize(
    ("given_unit", "wanted", "value", "expected"),
    [
        ("mL/min", "L/h", 100.0, 6.0),
        ("L/min", "L/h", 1.0, 60.0),
        ("L/h", "L/h", 0.1, 0.1),
        ("bar", "atm", 1.01325, 1.0),
        ("kPa", "mmHg", 101.325, 760.0),
        ("percent", "percent", 41.3, 41.3),
        ("%", "percent", 41.3, 41.3),
        ("1", "percent", 0.413, 41.3),
        ("pH", "1", 7.01, 7.01),
        ("degC", "degC", 36.5, 36.5),
        ("degF", "degC", 97.7, 36.5),
        ("kelvin", "degC", 309.65, 36.5),
        ("1e6 cells/mL", "1e9 cells/L", 12.5, 12.5),
        ("cells/mL", "1e9 cells/L", 12.5e6, 12.5),
        ("t", "kg", 1.4, 1400.0),
        ("mM", "mmol/L", 30.0, 30.0),
        ("mOsm/kg", "mmol/kg", 290.0, 290.0),
        ("kW/m^3", "W/m^3", 0.03, 30.0),
        ("pF/cm", "pF/cm", 0.3, 0.3),
        ("mg/L", "g/L", 1500.0, 1.5),
    ],
)
def test_units_are_converted(given_unit: str, wanted: str, value: float, expected: float) -> None:
    convert = conversion("tag", given_unit, wanted)
    assert convert.to_model(value) == pytest.approx(expected, rel=1e-6, abs=1e-5)
    assert convert.to_tag(convert.to_model(value)) == pytest.approx(value, rel=1e-12)


def test_the_same_unit_changes_no_bit() -> None:
    for model in MODELS.values():
        units = [output.unit for output in model.outputs_info.values()]
        units += [item.unit for item in model.inputs.values()]
        for unit in units:
            convert = conversion("tag", unit, unit)
            assert (convert.factor, convert.offset) == (1.0, 0.0)


def test_a_molar_mass_turns_grams_into_moles() -> None:
    convert = conversion("tag", "g/L", "mmol/L", molar_mass_g_per_mol=180.16)
    assert convert.to_model(1.8016) == pytest.approx(10.0)
    back = conversion("tag", "mmol/L", "g/L", molar_mass_g_per_mol=180.16)
    assert back.to_model(10.0) == pytest.approx(1.8016)
    with pytest.raises(UnitMismatchError, match="molar_mass_g_per_mol"):
        conversion("tag", "g/L", "mmol/L")


@pytest.mark.parametrize(
    "unit", ["", " ", "parsecs per fortnight", "mL/", "0", "L/h)", "7..", "**"]
)
def test_what_is_no_unit_is_refused_with_the_tags_name(unit: str) -> None:
    with pytest.raises(UnitMismatchError, match=r"tags\.measured\.weight: unit"):
        conversion("tags.measured.weight", unit, "kg")


def test_a_wrong_dimension_names_tag_unit_and_dimension() -> None:
    with pytest.raises(UnitMismatchError) as caught:
        conversion("tags.inputs.air.actual", "mL", "L/h")
    for part in ("tags.inputs.air.actual", "'mL'", "[length] ** 3 / [time]", "'L/h'"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind", "steps"),
    [
        ("plant:s=DO.Value", NodeKind.STRING, (("plant", "DO.Value"),)),
        ("dev:s=/Root/Unit1/DO:PV=1;x", NodeKind.STRING, (("dev", "/Root/Unit1/DO:PV=1;x"),)),
        ("ua:i=2258", NodeKind.NUMERIC, (("ua", "2258"),)),
        (
            "v:g=09087e75-8e5e-499b-954f-f2a9603db28a",
            NodeKind.GUID,
            (("v", "09087e75-8e5e-499b-954f-f2a9603db28a"),),
        ),
        ("/a:Plant/b:R1/b:DO", NodeKind.PATH, (("a", "Plant"), ("b", "R1"), ("b", "DO"))),
        ("/a:N&/m3/a:x", NodeKind.PATH, (("a", "N/m3"), ("a", "x"))),
    ],
)
def test_nodes_are_read(text: str, kind: NodeKind, steps: tuple[tuple[str, str], ...]) -> None:
    address = parse_node(text)
    assert (address.kind, address.steps, str(address)) == (kind, steps, text)


@pytest.mark.parametrize(
    "text",
    ["", "DO", "ns=2;s=DO", "plant:DO", "plant:i=x", "plant:i=-1", "plant:i=4294967296", "plant:s=",
     "plant:g=12", "/", "/plant", "/plant:", "/plant:A//plant:B", "/plant:A/", "2:s=DO"],
)  # fmt: skip
def test_what_names_no_node_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|identifier|GUID"):
        parse_node(text)


def test_a_path_and_an_identifier_name_the_same_tag_of_the_simulated_plant() -> None:
    path = parse_node("/plant:Bioreactor/plant:Clock/plant:Time")
    assert path.name == parse_node("plant:s=Clock.Time").name == "Clock.Time"


def test_the_scan_reads_every_node_once() -> None:
    scan = tag_map().scan
    assert len(scan) == len(set(scan))
    assert {str(address) for address in scan} >= {
        "plant:s=DissolvedOxygen.Value",
        "plant:s=Lab.Titre",
    }


def test_all_faults_of_a_tag_map_come_at_once() -> None:
    settings: dict[str, Any] = copy.deepcopy(TAGS)
    settings["measured"]["colour"] = {"node": "plant:s=Colour", "unit": "1"}
    settings["measured"]["weight"]["unit"] = "mL"
    settings["inputs"]["air"]["setpoint"]["node"] = "plant:s=Oxygen.Setpoint"
    settings["assays"]["glucose"]["node"] = "lims:s=Glucose"
    settings["handshake"]["heartbeat"] = "plant:s=Weight.Value"
    settings["handshake"]["owner"] = "plant:s=Control.Active"
    with pytest.raises(TagMapError) as caught:
        build_tag_map(
            TagMapSettings.model_validate(settings), OUTPUT_UNITS, INPUT_UNITS, ("plant",)
        )
    faults = caught.value.faults
    expected = (
        "tags.measured.colour: the model has no 'colour'",
        "tags.measured.weight: unit 'mL'",
        "air, oxygen are all written to plant:s=Oxygen.Setpoint",
        "tags.assays.glucose: alias 'lims'",
        "tags.handshake.heartbeat: 'plant:s=Weight.Value' cannot be a whole number",
        "tags.handshake.owner: 'plant:s=Control.Active' cannot be a String",
    )
    for part in expected:
        assert any(part in fault for fault in faults), part
    assert len(faults) == len(expected)


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        (("measured", "pH"), {"node": "plant:s=pH.Value"}),
        (("measured", "pH"), {"node": "pH.Value", "unit": "1"}),
        (("measured", "pH"), {"node": "plant:s=pH.Value", "unit": "1", "max_age_s": 0}),
        (("measured", "pH"), {"node": "plant:s=pH.Value", "unit": "1", "max_age_s": float("inf")}),
        (("measured", "pH"), {"node": "plant:s=pH.Value", "unit": "1", "uncertain": "maybe"}),
        (("measured", "pH"), {"node": "plant:s=pH.Value", "unit": "1", "colour": "red"}),
        (("measured", "pH"), {"node": "plant:s=pH.Value", "unit": 1}),
        (("inputs", "air"), {}),
        (("handshake",), {"heart": "plant:s=Beat"}),
    ],
)
def test_settings_are_strict(where: tuple[str, ...], wrong: Any) -> None:
    settings: dict[str, Any] = copy.deepcopy(TAGS)
    place = settings
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = wrong
    with pytest.raises(ValidationError):
        TagMapSettings.model_validate(settings)


LOCAL: dict[str, Any] = {
    "kind": "opcua",
    "endpoint": "opc.tcp://127.0.0.1:4840",
    "namespaces": {"plant": "urn:x"},
}
SECURE: dict[str, Any] = {
    "policy": "Basic256Sha256",
    "certificate": "agent.der",
    "private_key": "agent.pem",
    "server_certificate": "plant.der",
    "user": "mpc",
    "password_file": "password",
}


def test_a_driver_is_chosen_by_its_kind() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(DriverSettings)
    assert isinstance(adapter.validate_python(LOCAL), OpcuaSettings)
    assert isinstance(adapter.validate_python({"kind": "simulated"}), SimulatedSettings)


def test_another_machine_needs_protection() -> None:
    remote = {**LOCAL, "endpoint": "opc.tcp://bioreactor:4840"}
    with pytest.raises(ValidationError, match="another machine"):
        OpcuaSettings.model_validate(remote)
    settings = OpcuaSettings.model_validate({**remote, "security": SECURE})
    assert settings.security.server_certificate == Path("plant.der")
    anonymous = {
        key: value for key, value in SECURE.items() if key not in {"user", "password_file"}
    }
    with pytest.raises(ValidationError, match=r"security\.user"):
        OpcuaSettings.model_validate({**remote, "security": anonymous})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"endpoint": "http://127.0.0.1"}, "no endpoint"),
        ({"endpoint": "opc.tcp://127.0.0.1:99999"}, "ort out of range"),
        ({"endpoint": "opc.tcp://me:secret@127.0.0.1"}, "no user or password"),
        ({"namespaces": {"ua": "urn:x"}}, "namespace of OPC-UA itself"),
        ({"security": {"policy": "Basic256Sha256"}}, "also needs certificate, private_key"),
        ({"security": {"mode": "SignAndEncrypt"}}, "does not go with"),
        ({"security": {**SECURE, "mode": "None"}}, "does not go with"),
        ({"security": {"user": "mpc"}}, "go together"),
        ({"owner": ""}, "at least 1"),
        ({"timeouts": {"scan_s": 0}}, "greater than 0"),
    ],
)
def test_wrong_driver_settings_are_refused_with_words(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OpcuaSettings.model_validate({**LOCAL, **change})


@pytest.mark.parametrize(
    ("endpoint", "loopback"),
    [
        ("opc.tcp://127.0.0.1:1", True),
        ("opc.tcp://127.9.9.9:1", True),
        ("opc.tcp://[::1]:1", True),
        ("opc.tcp://localhost:1", True),
        ("opc.tcp://0.0.0.0:1", False),
        ("opc.tcp://localhost.example:1", False),
        ("opc.tcp://10.0.0.1:1", False),
    ],
)
def test_this_machine_is_known_by_its_name(endpoint: str, loopback: bool) -> None:
    assert is_loopback(endpoint) is loopback


finite = st.floats(-1e9, 1e9)


@given(value=finite, ends=st.tuples(finite, finite).map(sorted))
def test_rounding_to_a_type_never_leaves_the_range(value: float, ends: list[float]) -> None:
    low, high = ends
    inside = min(max(value, low), high)
    if high - low > 1e-6 * max(abs(low), abs(high)):  # else there may be no such number inside
        assert low <= cast_number(inside, "Float", (low, high)) <= high
    assert cast_number(inside, "Double", (low, high)) == inside
    if high - low >= 1.0:
        whole = cast_number(inside, "Int64", (low, high))
        assert isinstance(whole, int)
        assert low <= whole <= high


@pytest.mark.parametrize("name", INTEGER_RANGES)
def test_whole_numbers_fit_their_type_or_are_refused(name: str) -> None:
    smallest, largest = INTEGER_RANGES[name]
    assert cast_number(smallest, name) == smallest
    with pytest.raises(ValueError, match="does not fit"):
        cast_number(2.0 * largest + 2.0, name)
    with pytest.raises(ValueError, match="does not fit"):
        cast_number(2.0 * smallest - 1.0, name)


def test_what_holds_no_number_takes_none() -> None:
    with pytest.raises(ValueError, match="is no number"):
        cast_number(1.0, "String")
    with pytest.raises(ValueError, match="does not fit Float"):
        cast_number(1e300, "Float")
