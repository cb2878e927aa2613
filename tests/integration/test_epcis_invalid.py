"""An invalid EPCIS document moves nothing: recorded where a device signed it, refused where a system hands it in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.db.tables.events import event as event_table
from coldchain.decoders.epcis import DocumentError
from coldchain.domain.events import Event, in_force
from coldchain.settings import load_settings
from coldchain_ledger.entry import Entry, parse_entry
from integration.hostile import UP, Clock, Door
from opening import new_core
from unit.epcis_documents import DATE, document, event

EVT = UP[:-2] + "evt"


@pytest.fixture(params=["sqlite", "postgresql"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else ""
    clock = Clock()
    with new_core(load_settings(dir=tmp_path / "data", database=url), clock=clock) as core:
        yield Door(core, clock)


def signed(door: Door, body: bytes) -> Entry:
    (reply,) = door.offer(door.truck.says(body, "epcis+json"), topic=EVT)
    assert reply is not None
    assert reply.index is not None
    door.core.settle()
    with door.core.store.snapshot() as snapshot:
        return parse_entry(snapshot.entry(reply.index))


def stored(core: Core) -> list[Event]:
    """Every event in the projections, by event id."""
    core.settle()
    with core.engine.connect() as connection:
        texts = connection.scalars(select(event_table.c.data).order_by(event_table.c.event_id, event_table.c.key))
        return [msgspec.json.decode(text, type=Event) for text in texts]


def test_a_signed_invalid_event_is_ledgered_with_pointer_and_problem_and_moves_nothing(door: Door) -> None:
    good = event("AggregationEvent")
    entry = signed(door, document(good, event("AggregationEvent", bizStep="flying")))
    assert entry.quality == {
        "message": "invalid-epcis",
        "pointer": "/epcisBody/eventList/1/bizStep",
        "problem": "expected a CBV business step or the URI of another, found 'flying'",
    }
    assert entry.subjects == ("dev:truck-1",)
    assert stored(door.core) == []
    assert signed(door, document(good)).quality is None
    assert len(stored(door.core)) == 1
    tables = door.core.follower.rebuild()
    assert {name for name, digest in tables.items() if digest.before != digest.after} == set()
    assert len(stored(door.core)) == 1


def test_a_signed_event_that_states_a_sensor_attribute_twice_counts_and_is_marked(door: Door) -> None:
    element = {"sensorMetadata": {"time": DATE}, "sensorReport": [{"type": "Count", "value": 3, "time": DATE}]}
    entry = signed(door, document(event(sensorElementList=[element])))
    where = "/epcisBody/eventList/0/sensorElementList/0/sensorReport/0/time"
    assert entry.quality == {"marks": {"sensor-attribute-twice": where}}
    assert len(stored(door.core)) == 1


def test_an_invalid_document_of_a_system_is_refused_and_kept_with_the_rejects(door: Door) -> None:
    size = door.core.log.edge().size
    data = document(event(disposition="fresh"))
    with pytest.raises(DocumentError) as refused:
        door.core.capture("polar", data)
    assert refused.value.pointer == "/epcisBody/eventList/0/disposition"
    assert door.core.log.edge().size == size
    (kept,) = door.core.rejects.listing(10)["items"]
    assert (kept["device"], kept["reason"], kept["detail"]) == ("polar", "invalid-epcis", str(refused.value))
    assert kept["bytes"] == len(data)


SPELLINGS = [
    event(),
    event(eventTime="2026-03-02T08:00:00.000Z"),
    dict(reversed(event().items())),
    event(epcList=["https://shop.example/01/06901234000016/21/1"]),
]


def test_an_event_without_an_id_captured_in_four_spellings_is_one_event(door: Door) -> None:
    indices = {door.core.capture("polar", document(one)).index for one in SPELLINGS}
    assert len(indices) == 4, "every document is a fact of its own"
    (only,) = stored(door.core)
    assert only.event_id == only.content
    assert only.units == ("case:06901234000016/1",)


def test_the_same_said_by_two_senders_is_two_events(door: Door) -> None:
    door.core.capture("polar", document(event()))
    door.core.capture("bear", document(event(), sender="bear"))
    assert {one.by for one in stored(door.core)} == {"polar", "bear"}


def test_one_content_under_two_ids_is_one_event_whichever_came_first(door: Door) -> None:
    for one in ("urn:x:2", "urn:x:1"):
        door.core.capture("polar", document(event(eventID=one)))
    both = stored(door.core)
    assert [one.event_id for one in both] == ["urn:x:1", "urn:x:2"]
    standing = {in_force([first, second])[0][0] for first, second in itertools.permutations(both)}
    assert len(standing) == 1
    assert in_force(both)[1] == frozenset()


def test_an_error_declaration_is_no_duplicate_and_withdraws_what_has_its_id(door: Door) -> None:
    declaration = {"declarationTime": "2026-03-03T08:00:00Z", "reason": "did_not_occur", "correctiveEventIDs": []}
    door.core.capture("polar", document(event()))
    (first,) = stored(door.core)
    door.core.capture("polar", document(event(eventID=first.event_id, errorDeclaration=declaration)))
    both = stored(door.core)
    assert [one.error for one in both if one.key != first.key] == ["did_not_occur"]
    assert {one.content for one in both} == {first.content}
    assert in_force(both) == ([], frozenset())


def test_two_contents_under_one_id_are_disputed_and_two_spellings_are_not(door: Door) -> None:
    door.core.capture("polar", document(event(eventID="urn:x:1", eventTime="2026-03-02T08:00:00.0001Z")))
    door.core.capture("polar", document(event(eventID="urn:x:1")))
    assert in_force(stored(door.core))[1] == frozenset(), "a tenth of a millisecond is no other content"
    door.core.capture("polar", document(event(eventID="urn:x:1", **{"ex:note": 1})))
    standing, disputed = in_force(stored(door.core))
    assert len(standing) == 2
    assert {one.key for one in standing} <= disputed
