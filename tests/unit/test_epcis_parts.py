"""What of a document is recorded where not all of it can be: the good events, in documents that are valid again."""

from __future__ import annotations

import json

import pytest

from coldchain.decoders.epcis import validate_document
from coldchain.decoders.epcis_split import judge
from unit.epcis_documents import document, event

QUERY = {
    "type": "EPCISQueryDocument",
    "schemaVersion": None,
    "creationDate": None,
    "epcisBody": {
        "queryResults": {
            "queryName": "q",
            "subscriptionID": "s",
            "resultsBody": {"eventList": [event(), event(action="MOVE"), event(action="ADD")]},
        }
    },
}


@pytest.mark.parametrize("data", [document(**QUERY), document(event(), event(action="MOVE"), event(action="ADD"))])
def test_the_good_events_of_either_document_are_recorded_in_one_of_its_kind(data: bytes) -> None:
    drafts, faults = judge("polar", data, "proceed")
    assert [pointer.rsplit("/", 2)[1:] for pointer, _ in faults] == [["1", "action"]]
    (recorded,) = [validate_document(draft.payload) for draft in drafts]
    assert [one.json["action"] for one in recorded.events] == ["OBSERVE", "ADD"]
    assert recorded.document.head == validate_document(data).document.head


def test_a_document_too_large_for_an_entry_becomes_several_with_every_event_once() -> None:
    events = [event(eventID=f"urn:x:{number}", **{"ex:note": "x" * 900}) for number in range(120)]
    drafts, faults = judge("polar", document(*events, sender="importer"), "rollback")
    assert faults == []
    assert len(drafts) > 2
    recorded = [validate_document(draft.payload) for draft in drafts]
    assert [one.json for checked in recorded for one in checked.events] == events
    assert {json.dumps(dict(checked.document.head), sort_keys=True) for checked in recorded} == {
        json.dumps(dict(validate_document(document(sender="importer")).document.head), sort_keys=True)
    }
