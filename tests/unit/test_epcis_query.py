"""The table of query parameters: what each asks, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.events import Event
from coldchain.domain.identifiers import IdentifierError
from coldchain.services.epcis_conditions import Either, Exists, HasAttribute, Numbers, Texts, When, Within
from coldchain.services.epcis_fields import index_event, prefixes_of
from coldchain.services.epcis_patterns import matched
from coldchain.services.epcis_query import MAX_VALUES, QueryError, QueryTooComplex, parse_query
from coldchain.services.epcis_units import UNITS, si

CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"ex": "http://ns.example.com/"}]
BOUND = prefixes_of(CONTEXT)
TIME = "2026-03-02T08:00:00Z"
T_US = 1_772_438_400_000_000


def condition(**parameters: object) -> object:
    (found,) = parse_query({name.replace("__", ":"): value for name, value in parameters.items()}, BOUND).conditions
    return found


@pytest.mark.parametrize(
    ("parameter", "value", "asks"),
    [
        ("eventType", "ObjectEvent|AggregationEvent", Texts(("eventType",), ("ObjectEvent", "AggregationEvent"))),
        ("GE_eventTime", TIME, When("event_time_us", "GE", T_US)),
        ("LT_recordTime", TIME, When("at_us", "LT", T_US)),
        ("EQ_bizStep", "urn:epcglobal:cbv:bizstep:shipping", Texts(("bizStep",), ("shipping",))),
        ("EQ_bizStep", "https://ref.gs1.org/cbv/BizStep-shipping", Texts(("bizStep",), ("shipping",))),
        ("EQ_bizStep", "ex:blessing", Texts(("bizStep",), ("http://ns.example.com/blessing",))),
        ("EQ_readPoint", "https://id.gs1.org/414/6901234500011", Texts(("readPoint",), ("loc:6901234500011",))),
        ("WD_bizLocation", "loc:6901234500011", Within("bizLocation", ("loc:6901234500011",))),
        ("EQ_bizTransaction_po", "http://po/1", Texts(("bizTransaction_po",), ("code:uri/http://po/1",))),
        (
            "EQ_source_urn:epcglobal:cbv:sdt:owning_party",
            "urn:x:1",
            Texts(("source_owning_party",), ("code:uri/urn:x:1",)),
        ),
        ("EQ_quantity", 200, Numbers(("quantity",), "EQ", (200.0,))),
        ("EQ_value_CEL", "26", Numbers(("value@temperature",), "EQ", (299.15,))),
        ("GE_value_KEL", "299.15", Numbers(("value@temperature",), "GE", (299.15,))),
        ("LT_sDev_CEL", "0.5", Numbers(("sDev@temperature",), "LT", (0.5,))),
        ("GT_minValue_XYZ", 4, Numbers(("minValue@XYZ",), "GT", (4.0,))),
        ("EXISTS_ILMD_cbvmda:lotNumber", "true", Exists(("ILMD_urn:epcglobal:cbv:mda:lotNumber",))),
        ("EQ_INNER_ex:colour", "red", Texts(("INNER_http://ns.example.com/colour",), ("red",))),
        ("GT_ex:count", "5", Numbers(("http://ns.example.com/count",), "GT", (5.0,))),
        ("LE_ex:when", TIME, Numbers(("http://ns.example.com/when@time",), "LE", (float(T_US),))),
        ("HASATTR_bizLocation", "cbvmda:city", HasAttribute("bizLocation", ("urn:epcglobal:cbv:mda:city",))),
        (
            "EQATTR_readPoint_cbvmda:city",
            "Dalian",
            HasAttribute("readPoint", ("urn:epcglobal:cbv:mda:city",), ("Dalian",)),
        ),
        ("GE_startTime", TIME, Numbers(("SENSORMETADATA_startTime@time",), "GE", (float(T_US),))),
        ("EQ_type", "gs1:Temperature", Texts(("SENSORREPORT_type",), ("Temperature",))),
    ],
)
def test_a_parameter_asks_what_the_standard_says(parameter: str, value: object, asks: object) -> None:
    assert condition(**{parameter: value}) == asks


def test_an_extension_field_equals_a_text_a_number_or_a_time() -> None:
    field = "http://ns.example.com/count"
    assert condition(**{"EQ_ex:count": ["20"]}) == Either((Texts((field,), ("20",)), Numbers((field,), "EQ", (20.0,))))


def test_a_namespace_may_be_joined_by_a_hash() -> None:
    found = condition(**{"EXISTS_http://ns.example.com#colour": ""})
    assert isinstance(found, Exists)
    assert "http://ns.example.com/colour" in found.fields


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"EQ_colour": "red"}, "unknown parameter EQ_colour"),
        ({"eventtype": "ObjectEvent"}, "unknown parameter eventtype"),
        ({"HASATTR_parentID": "x:y"}, "unknown parameter HASATTR_parentID"),
        ({"GE_errorReason": "did_not_occur"}, "unknown parameter GE_errorReason"),
        ({"eventType": "QuantityEvent"}, "parameter eventType: expected Aggregation"),
        ({"EQ_action": "observe"}, "parameter EQ_action: expected ADD, OBSERVE, DELETE, found 'observe'"),
        ({"GE_eventTime": "yesterday"}, "parameter GE_eventTime: expected a time"),
        ({"GE_eventTime": "2026-03-02T08:00:00"}, "parameter GE_eventTime: expected a time"),
        ({"GE_eventTime": [TIME, TIME]}, "parameter GE_eventTime: expected one value, found 2"),
        ({"GE_quantity": "many"}, "parameter GE_quantity: expected a number"),
        ({"GE_quantity": True}, "parameter GE_quantity: expected a number"),
        ({"GE_value_CEL": "warm"}, "parameter GE_value_CEL: expected a number"),
        ({"EXISTS_errorDeclaration": "yes"}, "parameter EXISTS_errorDeclaration: expected true or false"),
        ({"MATCH_epc": "urn:epc:id:sscc:bad"}, "parameter MATCH_epc: "),
        ({"EQ_nowhere:x": "1"}, "parameter EQ_nowhere:x: prefix 'nowhere' is not bound"),
        ({"orderBy": "colour"}, "unknown parameter orderBy"),
        ({"orderDirection": "up"}, "parameter orderDirection: expected ASC or DESC"),
        ({"eventCountLimit": 5}, "parameter eventCountLimit: needs orderBy"),
        ({"eventCountLimit": 5, "orderBy": "eventTime", "maxEventCount": 5}, "eventCountLimit: excludes maxEventCount"),
        ({"maxEventCount": 0}, "parameter maxEventCount: expected a whole number"),
        ({"EQ_bizStep": []}, "parameter EQ_bizStep: expected a text, a number or a list"),
        ({"EQ_bizStep": {"a": 1}}, "parameter EQ_bizStep: expected a text, a number or a list"),
    ],
)
def test_a_parameter_that_means_nothing_is_refused_by_name(parameters: dict[str, object], says: str) -> None:
    with pytest.raises(QueryError) as refused:
        parse_query(parameters)
    assert says in str(refused.value)


def test_too_many_values_are_refused() -> None:
    with pytest.raises(QueryTooComplex, match="at most"):
        parse_query({"EQ_bizStep": ["loading"] * (MAX_VALUES + 1)})


def test_every_fixed_parameter_of_the_interface_is_in_the_table(shared_vectors: Path) -> None:
    api = json.loads((shared_vectors / "vectors/epcis/openapi.json").read_text())
    value = {"date-time": TIME, "boolean": "true", "number": "1", "integer": "1"}
    for name, parameter in api["components"]["parameters"].items():
        if parameter["in"] == "query" and ("_" in name or name in ("eventType", "orderBy", "orderDirection")):
            schema = parameter["schema"]
            given = value.get(
                schema.get("format", ""), value.get(schema.get("type", ""), "urn:epc:id:sscc:6901234.1000000001")
            )
            given = {
                "eventType": "ObjectEvent",
                "EQ_action": "ADD",
                "orderBy": "eventTime",
                "orderDirection": "ASC",
            }.get(name, given)
            parse_query({name: given})


# Patterns


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("urn:epc:idpat:sgtin:4012345.044444.*", "case:04012345444445/1"),
        ("urn:epc:idpat:sgtin:4012345.*.*", "case:04012345444445/1"),
        ("urn:epc:idpat:sgtin:*.*.*", "case:04012345444445/1"),
        ("urn:epc:idpat:sgtin:4012345.044444.1", "case:04012345444445/1"),
        ("urn:epc:id:sgtin:4012345.044444.1", "case:04012345444445/1"),
        ("https://id.gs1.org/01/04012345444445/21/1", "case:04012345444445/1"),
        ("urn:epc:idpat:sgtin:4012345.044444.*", "code:gtin/04012345444445"),
        ("urn:epc:idpat:sscc:6901234.*", "sscc:169012345000000025"),
        ("urn:epc:idpat:lgtin:4012345.044444.*", "lot:04012345444445/A"),
        ("urn:epc:idpat:sgln:6901234.50001.*", "loc:6901234500011"),
        ("urn:epc:idpat:sgln:6901234.*.*", "loc:6901234500011/a"),
        ("urn:epc:idpat:grai:6901234.51001.*", "grai:06901234510010PLT1"),
        ("urn:epc:idpat:giai:4000001.*", "code:giai/4000001111"),
        ("urn:epc:idpat:gdti:0614141.00001.*", "code:gdti/0614141.00001.1618034"),
    ],
)
def test_a_pattern_matches_what_it_means(value: str, name: str) -> None:
    found = matched(value)
    assert name in found.values or name.startswith(found.starts)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("urn:epc:idpat:sgtin:4012345.044444.*", "case:04012345444452/1"),
        ("urn:epc:idpat:sgtin:4012345.*.*", "case:04012346444445/1"),
        ("urn:epc:idpat:sscc:6901234.*", "sscc:169012355000000024"),
        ("urn:epc:idpat:sgln:6901234.50001.*", "loc:69012345000119"),
        ("urn:epc:idpat:gdti:0614141.00001.*", "code:gdti/0614141.000012.1"),
    ],
)
def test_a_pattern_matches_nothing_else(value: str, name: str) -> None:
    found = matched(value)
    assert name not in found.values
    assert not name.startswith(found.starts)


@pytest.mark.parametrize(
    "value", ["urn:epc:idpat:sgtin:*.044444.1", "urn:epc:idpat:sgtin:40.*.*", "urn:epc:idpat:sgtin:[1-2].*.*"]
)
def test_a_pattern_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(IdentifierError):
        matched(value)


# Units and values


@given(st.sampled_from(sorted(UNITS)), st.integers(-(10**6), 10**6))
def test_a_measure_in_another_unit_of_its_dimension_is_the_same(uom: str, value: int) -> None:
    dimension, found = si(value, uom)
    assert dimension == UNITS[uom].dimension
    assert found == pytest.approx(float(UNITS[uom].factor) * value + float(UNITS[uom].offset), abs=1e-9, rel=1e-9)


def test_kelvin_celsius_and_fahrenheit_meet() -> None:
    assert si(26, "CEL") == si(299.15, "KEL") == si(78.8, "FAH")
    assert si(-18, "CEL") == si(255.15, "KEL") == si(-0.4, "FAH")


def test_an_event_is_indexed_under_what_a_query_asks() -> None:
    event = Event("urn:uuid:1", "ObjectEvent", 1, "OBSERVE", "shipping", read_point="loc:6901234500011")
    item = {
        "type": "ObjectEvent",
        "epcList": ["urn:epc:id:sscc:6901234.1500000002"],
        "quantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.012345.998877", "quantity": 200, "uom": "KGM"}],
        "sensorElementList": [
            {
                "sensorMetadata": {"deviceID": "urn:epc:id:giai:4000001.111", "startTime": TIME},
                "sensorReport": [
                    {"type": "gs1:MeasurementType-Temperature", "value": 26, "uom": "CEL", "booleanValue": True}
                ],
            }
        ],
        "persistentDisposition": {"set": ["completeness_verified"]},
        "errorDeclaration": {"reason": "incorrect_data", "correctiveEventIDs": ["urn:uuid:2"], "declarationTime": TIME},
        "ilmd": {"cbvmda:lotNumber": "ABC123", "ex:box": {"ex:weight": "3.5"}},
        "ex:colour": ["red", "blue"],
        "ex:deep": {"ex:deeper": {"ex:deepest": 1}},
    }
    texts, numbers = index_event(item, event, CONTEXT)
    assert {
        ("eventType", "ObjectEvent"),
        ("epc", "sscc:169012345000000025"),
        ("epcClass", "lot:04012345123456/998877"),
        ("SENSORREPORT_type", "Temperature"),
        ("SENSORREPORT_booleanValue", "true"),
        ("SENSORMETADATA_deviceID", "code:giai/4000001111"),
        ("persistentDisposition_set", "completeness_verified"),
        ("errorReason", "incorrect_data"),
        ("correctiveEventID", "urn:uuid:2"),
        ("ILMD_urn:epcglobal:cbv:mda:lotNumber", "ABC123"),
        ("INNER_ILMD_http://ns.example.com/weight", "3.5"),
        ("http://ns.example.com/colour", "blue"),
        ("INNER_http://ns.example.com/deepest", "1"),
    } <= texts
    assert {
        ("quantity", 200.0),
        ("value@temperature", 299.15),
        ("SENSORMETADATA_startTime@time", float(T_US)),
        ("errorDeclarationTime", float(T_US)),
        ("INNER_ILMD_http://ns.example.com/weight", 3.5),
    } <= numbers
