"""EPCIS events from entries to what queries find, on both databases, in any order of arrival."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from coldchain.db import queries_epcis
from coldchain.db.engine import writing
from coldchain.db.queries_epcis import QueryTooLarge, query_after, query_page, values_of
from coldchain.db.tables import metadata
from coldchain.decoders.recorded import decode_recorded
from coldchain.projections.epcis import EpcisEvents
from coldchain.projections.follow import digests
from coldchain.services.epcis_query import parse_query, seen_by
from coldchain.services.principals import Principal
from coldchain.services.recorded import Recorded
from coldchain_ledger.entry import Entry, encode_entry

EX = "http://ns.example.com/"
CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"ex": EX}]


def document(*events: dict[str, Any], **more: Any) -> bytes:
    base = {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-02T08:00:00Z",
    }
    return json.dumps({**base, **more, "epcisBody": {"eventList": list(events)}}).encode()


def event(number: int, **more: Any) -> dict[str, Any]:
    said = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:{number}",
        "eventTime": f"2026-03-02T{number % 24:02}:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "bizStep": "shipping",
        "epcList": [f"urn:epc:id:sgtin:4012345.044444.{number}"],
    }
    return {name: value for name, value in (said | more).items() if value is not None}


def recorded(index: int, payload: bytes, by: str = "acme") -> Recorded:
    entry = Entry("event", by, 1_000 + index, "application/json", f"ev/{index}", "declared", (), payload)
    return decode_recorded(1, index, encode_entry(entry))


def fold(engine: Engine, batches: Sequence[Sequence[Recorded]]) -> None:
    projection = EpcisEvents()
    for batch in batches:
        with writing(engine) as connection:
            projection.apply(connection, batch, 0)


def find(engine: Engine, **parameters: Any) -> list[str]:
    """Ids of the matching events, however many pages they take."""
    query = parse_query(parameters)
    found: list[str] = []
    token = None
    with engine.connect() as connection:
        while True:
            page = query_page(connection, query, 2, token)
            found += [one.event_id.removeprefix("urn:uuid:") for one in page.events]
            if page.token is None:
                return found
            token = page.token


@pytest.fixture
def engine_with_examples(engine: Engine, shared_vectors: Path) -> Engine:
    examples = sorted((shared_vectors / "vectors/epcis/examples").rglob("*.jsonld"))
    batch = [recorded(index, path.read_bytes()) for index, path in enumerate(examples)]
    assert all(item.events for item in batch), "every example is a document of ours"
    fold(engine, [batch])
    return engine


def test_every_event_of_the_examples_is_found_once(engine_with_examples: Engine, shared_vectors: Path) -> None:
    examples = (shared_vectors / "vectors/epcis/examples").rglob("*.jsonld")
    said = set()
    for path in examples:
        body = json.loads(path.read_bytes())["epcisBody"]
        events = body["eventList"] if "eventList" in body else body["queryResults"]["resultsBody"]["eventList"]
        said |= {json.dumps({k: v for k, v in one.items() if k != "recordTime"}, sort_keys=True) for one in events}
    assert len(find(engine_with_examples)) == len(said)


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"EQ_value_CEL": 26}, 1),
        ({"EQ_value_KEL": 299.15}, 1),
        ({"GE_value_KEL": 299.14, "LT_value_FAH": 79}, 1),
        ({"EQ_bizStep": "nonsense"}, 0),
        ({"EQ_persistentDisposition_set": "completeness_verified"}, None),
        ({"EXISTS_errorDeclaration": True}, None),
        ({"EXISTS_ILMD_cbvmda:lotNumber": ""}, None),
        ({"MATCH_anyEPC": "urn:epc:idpat:sgtin:0614141.*.*"}, None),
        ({"EQ_INNER_http://example.com/ext3/string": "stringInObjectInObject"}, None),
        ({"EQ_bizTransaction_po": "http://transaction.acme.com/po/12345678"}, None),
    ],
)
def test_the_examples_are_found_by_what_they_say(
    engine_with_examples: Engine, parameters: dict[str, Any], count: int | None
) -> None:
    found = find(engine_with_examples, **parameters)
    assert found if count is None else len(found) >= count and bool(found) == bool(count)


SCENE = [
    event(1, readPoint={"id": "urn:epc:id:sgln:6901234.50001.0"}, bizLocation={"id": "loc:6901234500011/a"}),
    event(2, action="ADD", bizStep="commissioning", **{"ex:count": "20", "ex:when": "2026-03-02T08:00:00+08:00"}),
    event(3, **{"ex:count": 7, "ex:box": {"ex:colour": "red"}}),
    event(
        4,
        type="AggregationEvent",
        parentID="urn:epc:id:sscc:6901234.1500000002",
        epcList=None,
        childEPCs=["urn:coldchain:case:04012345444445/1"],
    ),
    event(
        5,
        type="TransformationEvent",
        action=None,
        epcList=None,
        inputEPCList=["urn:epc:id:sgtin:4012345.044444.1"],
        outputEPCList=["urn:epc:id:sgtin:4012345.055555.1"],
        inputQuantityList=[{"epcClass": "urn:epc:class:lgtin:4012345.044444.A", "quantity": 12.5, "uom": "KGM"}],
        outputQuantityList=[{"epcClass": "urn:epc:idpat:sgtin:4012345.055555.*", "quantity": 12}],
        transformationID="urn:uuid:t",
    ),
    event(
        6,
        sensorElementList=[
            {
                "sensorMetadata": {
                    "deviceID": "dev:t1",
                    "startTime": "2026-03-02T01:00:00Z",
                    "bizRules": "https://r/1",
                },
                "sensorReport": [
                    {"type": "Temperature", "value": -18, "uom": "CEL", "sDev": 0.5, "percRank": 50, "percValue": -17},
                    {
                        "type": "RelativeHumidity",
                        "value": 80,
                        "uom": "P1",
                        "stringValue": "damp",
                        "booleanValue": False,
                    },
                ],
            }
        ],
    ),
    event(
        7, disposition="in_transit", sourceList=[{"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00225"}]
    ),
    event(
        1,
        errorDeclaration={
            "declarationTime": "2026-03-03T00:00:00Z",
            "reason": "incorrect_data",
            "correctiveEventIDs": ["urn:uuid:3"],
        },
    ),
]


@pytest.fixture
def scene(engine: Engine) -> Engine:
    header = {
        "epcisMasterData": {
            "vocabularyList": [
                {
                    "type": "urn:epcglobal:epcis:vtype:BusinessLocation",
                    "vocabularyElementList": [
                        {
                            "id": "urn:epc:id:sgln:6901234.50001.0",
                            "attributes": [{"id": "cbvmda:city", "attribute": "Dalian"}],
                            "children": ["loc:6901234500011/a"],
                        },
                        {"id": "loc:6901234500011/a", "children": ["loc:6901234500011"]},
                    ],
                }
            ]
        }
    }
    documents = [document(*SCENE[:4], epcisHeader=header), document(*SCENE[4:])]
    fold(engine, [[recorded(index, payload)] for index, payload in enumerate(documents, 40)])
    return engine


@pytest.mark.parametrize(
    ("parameters", "ids"),
    [
        ({}, "12345671"),
        ({"eventType": ["AggregationEvent", "TransformationEvent"]}, "45"),
        ({"GE_eventTime": "2026-03-02T03:00:00Z", "LT_eventTime": "2026-03-02T05:00:00Z"}, "34"),
        ({"GE_recordTime": "1970-01-01T00:00:00.001041Z"}, "5671"),
        ({"LT_recordTime": "1970-01-01T00:00:00.001041Z"}, "1234"),
        ({"EQ_action": "ADD"}, "2"),
        ({"EQ_bizStep": "urn:epcglobal:cbv:bizstep:commissioning"}, "2"),
        ({"EQ_disposition": "in_transit"}, "7"),
        ({"EQ_readPoint": "https://id.gs1.org/414/6901234500011"}, "1"),
        ({"EQ_bizLocation": "loc:6901234500011"}, ""),
        ({"WD_bizLocation": "loc:6901234500011"}, "1"),
        ({"HASATTR_readPoint": "cbvmda:city"}, "1"),
        ({"EQATTR_readPoint_cbvmda:city": "Dalian"}, "1"),
        ({"EQATTR_readPoint_cbvmda:city": "Qingdao"}, ""),
        ({"EQ_transformationID": "urn:uuid:t"}, "5"),
        ({"MATCH_epc": "https://id.gs1.org/01/04012345444445/21/1"}, "141"),
        ({"MATCH_anyEPC": "urn:epc:id:sgtin:4012345.044444.1"}, "1451"),
        ({"MATCH_inputEPC": "urn:epc:idpat:sgtin:4012345.044444.*"}, "5"),
        ({"MATCH_outputEPC": "urn:epc:idpat:sgtin:4012345.*.*"}, "5"),
        ({"MATCH_parentID": "https://id.gs1.org/00/169012345000000025"}, "4"),
        ({"MATCH_inputEPCClass": "lot:04012345444445/A"}, "5"),
        ({"MATCH_outputEPCClass": "urn:epc:idpat:sgtin:4012345.055555.*"}, "5"),
        ({"MATCH_epcClass": "lot:04012345444445/A"}, ""),
        ({"MATCH_anyEPCClass": "lot:04012345444445/A"}, "5"),
        ({"GT_quantity": 12}, "5"),
        ({"EQ_quantity": 12}, "5"),
        ({"LT_quantity": 12}, ""),
        ({"EQ_source_owning_party": "https://id.gs1.org/417/4012345002256"}, "7"),
        ({"EQ_source_possessing_party": "urn:epc:id:pgln:4012345.00225"}, ""),
        ({"EQ_eventID": "urn:uuid:1"}, "11"),
        ({"EXISTS_errorDeclaration": "true"}, "1"),
        ({"EXISTS_errorDeclaration": "false"}, "12345671"),
        ({"EQ_errorReason": "incorrect_data", "GE_errorDeclarationTime": "2026-03-03T00:00:00Z"}, "1"),
        ({"LT_errorDeclarationTime": "2026-03-03T00:00:00Z"}, ""),
        ({"EQ_correctiveEventID": "urn:uuid:3"}, "1"),
        ({"GT_http://ns.example.com/count": 10}, "2"),
        ({"EQ_http://ns.example.com/count": 7}, "3"),
        ({"EXISTS_http://ns.example.com/count": ""}, "23"),
        ({"EQ_http://ns.example.com/when": "2026-03-02T00:00:00Z"}, "2"),
        ({"EQ_INNER_http://ns.example.com/colour": "red"}, "3"),
        ({"EQ_http://ns.example.com/colour": "red"}, ""),
        ({"EQ_type": "gs1:RelativeHumidity"}, "6"),
        ({"EQ_value_KEL": 255.15}, "6"),
        ({"LE_value_FAH": -0.4}, "6"),
        ({"GT_value_CEL": -18}, ""),
        ({"EQ_value_P1": 80}, "6"),
        ({"LE_sDev_KEL": 0.5}, "6"),
        ({"GE_percRank": 50}, "6"),
        ({"LT_percRank": 50}, ""),
        ({"EQ_deviceID": "dev:t1", "EQ_bizRules": "https://r/1", "EQ_stringValue": "damp"}, "6"),
        ({"EQ_booleanValue": "false"}, "6"),
        ({"LT_startTime": "2026-03-02T02:00:00Z"}, "6"),
        ({"orderBy": "eventTime", "orderDirection": "DESC"}, "76543211"),
        ({"orderBy": "eventTime", "eventCountLimit": 3}, "765"),
        ({"orderBy": "recordTime"}, "17654321"),
        ({"orderBy": "http://ns.example.com/count", "eventCountLimit": 2}, "23"),
        ({"orderBy": f"{EX}count", "orderDirection": "ASC", f"EXISTS_{EX}count": ""}, "32"),
        ({"maxEventCount": 8}, "12345671"),
    ],
)
def test_a_query_finds_exactly_what_it_asks_for(
    scene: Engine, parameters: dict[str, Any], ids: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "".join(find(scene, **parameters)) == ids
    monkeypatch.setattr(queries_epcis, "COMMON", 1)
    assert "".join(find(scene, **parameters)) == ids, "where every value is a common one"


def test_more_events_than_the_query_takes_are_no_answer(scene: Engine) -> None:
    with pytest.raises(QueryTooLarge, match="maxEventCount=7"):
        find(scene, maxEventCount=7)


def test_any_order_and_any_repetition_give_the_same_facts(engine: Engine) -> None:
    payloads = [document(one, two) for one, two in zip(SCENE[::2], SCENE[1::2], strict=True)]
    tables = [metadata.tables[name] for name in EpcisEvents.tables]
    seen = []
    for seed in range(3):
        draw = random.Random(seed)
        arrived = draw.sample(payloads * 2, k=2 * len(payloads)) if seed else payloads
        with writing(engine) as connection:
            for table in tables:
                connection.execute(table.delete())
        fold(engine, [[recorded(index, payload)] for index, payload in enumerate(arrived)])
        seen.append(digests(engine, tables, facts_only=True))
    assert seen[0] == seen[1] == seen[2]
    assert len(find(engine)) == len(SCENE)


def test_the_same_words_of_another_sender_are_another_event(engine: Engine) -> None:
    fold(engine, [[recorded(0, document(SCENE[0]), "acme"), recorded(1, document(SCENE[0]), "polar")]])
    assert find(engine) == ["1", "1"]


def test_what_was_captured_after_a_first_page_is_on_no_later_one(engine: Engine) -> None:
    fold(engine, [[recorded(index, document(event(index)))] for index in range(5)])
    query = parse_query({"orderBy": "eventTime", "orderDirection": "ASC"})
    with engine.connect() as connection:
        first = query_page(connection, query, 3)
    fold(engine, [[recorded(9, document(event(9, eventTime="2026-03-02T03:30:00Z")))]])
    with engine.connect() as connection:
        second = query_page(connection, query, 3, first.token)
        assert [one.event_id for one in second.events] == ["urn:uuid:3", "urn:uuid:4"]
        assert len(query_after(connection, query, second.events[-1].seq, 10**9, 10)) == 1


def test_values_are_listed_once_in_pages(scene: Engine) -> None:
    with scene.connect() as connection:
        assert values_of(connection, ["bizStep"], "", 1) == ["commissioning"]
        assert values_of(connection, ["bizStep"], "commissioning", 5) == ["shipping"]
        places = values_of(connection, ["readPoint", "bizLocation"], "", 5)
    assert places == ["loc:6901234500011", "loc:6901234500011/a"]


def test_only_what_one_organisation_sent_is_shown_to_it(engine: Engine) -> None:
    fold(engine, [[recorded(0, document(SCENE[0]), "acme"), recorded(1, document(SCENE[2]), "polar")]])
    for role, ids in (("carrier", ["urn:uuid:3"]), ("customs", ["urn:uuid:1", "urn:uuid:3"])):
        query = seen_by(parse_query({}), Principal("polar", role, frozenset({"read"}), "t"))
        with engine.connect() as connection:
            assert [one.event_id for one in query_page(connection, query, 5).events] == ids


def test_an_entry_that_is_no_document_is_no_event(engine: Engine) -> None:
    fold(engine, [[recorded(0, b"[]"), recorded(1, b"not json"), recorded(2, b'{"type":"EPCISDocument"}')]])
    assert find(engine) == []
