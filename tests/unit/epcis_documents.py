"""EPCIS documents for tests: GS1's, those with published hashes, and small ones of our own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(os.environ.get("COLDCHAIN_SHARED", Path(__file__).parents[2] / ".." / "shared"))
ADDRESS = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
CONTEXT = [ADDRESS, {"coldchain": "urn:coldchain:vocabulary:", "ex": "https://ns.example.com/"}]
DATE = "2026-03-02T08:00:00Z"
CASE = "urn:epc:id:sgtin:6901234.000001.1"
PALLET = "https://id.gs1.org/00/169012345000000025"
LOT = "urn:epc:class:lgtin:6901234.000001.L7"

_OBJECT = {"action": "OBSERVE", "epcList": [CASE]}
_FAMILY = {"action": "ADD", "parentID": PALLET, "childEPCs": [CASE]}
SOUND: dict[str, dict[str, Any]] = {
    "ObjectEvent": _OBJECT,
    "AggregationEvent": _FAMILY,
    "AssociationEvent": _FAMILY,
    "TransactionEvent": {**_OBJECT, "bizTransactionList": [{"type": "po", "bizTransaction": "urn:x:po:1"}]},
    "TransformationEvent": {"inputEPCList": [CASE], "outputEPCList": ["urn:epc:id:sgtin:6901234.000002.1"]},
}
"""What each type needs beside its time."""


def event(kind: str = "ObjectEvent", **stated: Any) -> dict[str, Any]:
    """A valid event with what is stated instead of or beside its own; None leaves a member out."""
    whole = {"type": kind, "eventTime": DATE, "eventTimeZoneOffset": "+08:00", **SOUND[kind], **stated}
    return {name: value for name, value in whole.items() if value is not None}


def document(*events: Any, **stated: Any) -> bytes:
    """A valid document of these events; members stated stand instead of or beside its own, None leaves one out."""
    head = {"@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": DATE}
    whole = {**head, "epcisBody": {"eventList": list(events)}, **stated}
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


def _folder(name: str) -> Path:
    folder = SHARED / "vectors" / name
    if not folder.is_dir():
        if os.environ.get("COLDCHAIN_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{folder} is missing")
        pytest.skip("the public EPCIS documents are not here (COLDCHAIN_SHARED)")
    return folder


def examples() -> list[Path]:
    """GS1's 47 example documents."""
    found = sorted(_folder("epcis").joinpath("examples").rglob("*.jsonld"))
    assert len(found) == 47
    return found


def hash_vectors() -> Iterator[tuple[str, bytes, list[str], list[str]]]:
    """(name, document, hashes, pre-hash strings) of the 11 published documents."""
    found = sorted(_folder("epcis-hash").glob("*.jsonld"))
    assert len(found) == 11
    for path in found:
        hashes, pre_hashes = (path.with_suffix(end).read_text().splitlines() for end in (".hashes", ".prehashes"))
        yield path.stem, path.read_bytes(), hashes, pre_hashes
