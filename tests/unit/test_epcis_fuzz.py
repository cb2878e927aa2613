"""Whatever bytes come, a document is read, or refused with its own error; and what is read can be hashed and kept."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from coldchain.decoders.epcis import Checked, DocumentError, event_hash, validate_document, write_document
from coldchain.domain.events import identified
from unit.epcis_documents import CASE, CONTEXT, DATE, LOT, SOUND, document, event

NAMES = [
    "@context", "type", "eventID", "eventTime", "eventTimeZoneOffset", "recordTime", "action", "bizStep",
    "disposition", "epcList", "parentID", "childEPCs", "quantityList", "childQuantityList", "inputEPCList",
    "outputEPCList", "readPoint", "id", "epcClass", "quantity", "uom", "bizTransactionList", "bizTransaction",
    "sourceList", "source", "destinationList", "destination", "sensorElementList", "sensorMetadata", "sensorReport",
    "time", "value", "percRank", "component", "exception", "ilmd", "cbvmda:lotNumber", "errorDeclaration",
    "declarationTime", "reason", "correctiveEventIDs", "persistentDisposition", "set", "unset", "certificationInfo",
    "transformationID", "ex:note", "coldchain:seals", "coldchain:cartons", "coldchain:grossWeight",
    "coldchain:board", "coldchain:linkedFrom", "seal", "act", "case", "state", "inner", "epcisBody", "eventList",
    "queryResults", "resultsBody", "schemaVersion", "x:ignoreFields", "urn:x:y",
]  # fmt: skip
OURS = ["urn:coldchain:decl:7", "urn:coldchain:cont:CSQU3054384", "urn:coldchain:"]
DOCUMENTS = ["EPCISDocument", "EPCISQueryDocument"]
WORDS = [*SOUND, *DOCUMENTS, CASE, LOT, DATE, "+08:00", "ADD", "loading", "KGM", "2.0", "urn:x:1", *OURS]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.sampled_from(WORDS)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner), max_leaves=25
)


def kept(data: bytes) -> Checked | None:
    """The document, its good events hashed, named and written anew; None where it is refused."""
    with suppress(DocumentError):
        checked = validate_document(data)
        good = [one for one in checked.events if one.event is not None]
        for one in good:
            assert event_hash(one.json, one.context).startswith("ni:///sha-256;")
            assert identified(one.event).key  # type: ignore[arg-type]
        for one in checked.events:
            assert (one.event is None) == bool(one.problems)
            for told in one.problems:
                "".join(told).encode()
        written = write_document([one.json for one in good], checked.document.context_value, 0)
        assert len(validate_document(written).events) == len(good)
        return checked
    return None


@given(st.binary())
@example(b'{"@context":' * 70)
@example(b"1" * 5_000)
@example(b'{"\\udc00": 1}')
def test_bytes(data: bytes) -> None:
    assert kept(data) is None


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_json(whole: dict[str, Any]) -> None:
    kept(json.dumps(whole).encode())
    kept(json.dumps({"@context": CONTEXT, **whole}).encode())


@given(st.sampled_from(list(SOUND)), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
def test_an_event_with_some_of_its_members_replaced(kind: str, stated: dict[str, Any]) -> None:
    assert kept(document({**event(kind), **stated})) is not None


@given(st.sampled_from(["ilmd", "sensorElementList", "coldchain:seals", "quantityList", "readPoint"]), VALUES)
def test_one_member_of_any_content(name: str, value: Any) -> None:
    assert kept(document({**event(action="ADD"), name: value, "ex:more": value})) is not None
