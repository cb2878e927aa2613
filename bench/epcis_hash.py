"""The CBV event hash, and reading EPCIS documents with validation, on one core (performance §2.7).

Every event is about its own pallet and 20 cases of its own, so that no cache of identifiers helps: links and names are
made anew, as at a first reading. Rates are of this process's own time, for the machine is shared.

Found by profiling: skipping JSON's texts, to see how deep it nests and whether a key stands twice, took 35 µs of an
event's 1.3 kB; with a pattern without alternatives it takes 8. Naming and linking 21 units take two thirds of the rest.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

import msgspec

from bench.rows import Row
from coldchain.decoders.epcis import decode_epcis, event_hash, read_document
from coldchain.decoders.epcis_hash import pre_hash

CASES = 20
BATCH = 100
"""Events of one document: what a capture is measured with."""
TARGET = 10_000
_START = datetime(2026, 3, 2, tzinfo=UTC)
_CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"ex": "https://ns.example.com/"}]


def rows(documents: int, rounds: int) -> list[Row]:
    """Hashes beside bare SHA-256 of what they hash; reading beside reading JSON and nothing else."""
    numbers = count()
    hashes, bare, reads, parses = [], [], [], []
    for _ in range(rounds):
        written = [_document(numbers) for _ in range(documents)]
        texts = [pre_hash(event, one.context).encode() for one in map(read_document, written) for event in one.events]
        bare.append(_rate(texts, sha256))
        written = [_document(numbers) for _ in range(documents)]
        pairs = [(event, one.context) for one in map(read_document, written) for event in one.events]
        hashes.append(_rate(pairs, lambda pair: event_hash(*pair)))
        written = [_document(numbers) for _ in range(documents)]
        parses.append(BATCH * _rate(written, msgspec.json.decode))
        reads.append(BATCH * _rate(written, decode_epcis))
    hashed, read = statistics.median(hashes), statistics.median(reads)
    hash_only, parse_only = statistics.median(bare), statistics.median(parses)
    size = sum(map(len, written)) / len(written) / BATCH
    named = f"{documents * BATCH:,} events of {CASES} cases, {size:.0f} B, no identifier met before; one core"
    return [
        Row(
            "EPCIS event hash", hashed, "events/s", "SHA-256", hash_only, hashed / hash_only,
            f"{TARGET:,}/s on one core", hashed >= TARGET, named,
        ),
        Row(
            "EPCIS read, validated, hashed", read, "events/s", "JSON alone", parse_only, read / parse_only,
            note=f"documents of {BATCH} events",
        ),
    ]  # fmt: skip


def _rate(items: Sequence[Any], work: Callable[[Any], object]) -> float:
    began = time.process_time()
    for item in items:
        work(item)
    return len(items) / (time.process_time() - began)


def _document(numbers: count[int]) -> bytes:
    head = {"@context": _CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": _START.isoformat()}
    return json.dumps({**head, "epcisBody": {"eventList": [_event(next(numbers)) for _ in range(BATCH)]}}).encode()


def _event(number: int) -> dict[str, Any]:
    cases = (f"urn:epc:id:sgtin:6901234.000001.{number * CASES + case}" for case in range(CASES))
    return {
        "type": "AggregationEvent",
        "action": "ADD",
        "eventTime": (_START + timedelta(milliseconds=137 * number)).isoformat(timespec="milliseconds"),
        "eventTimeZoneOffset": "+08:00",
        "parentID": f"urn:epc:id:sscc:6901234.{number:010d}",
        "childEPCs": list(cases),
        "bizStep": "packing",
        "disposition": "in_progress",
        "readPoint": {"id": "urn:epc:id:sgln:6901234.50001.7"},
        "bizLocation": {"id": "urn:epc:id:sgln:6901234.50001.0"},
        "bizTransactionList": [{"type": "po", "bizTransaction": f"urn:epcglobal:cbv:bt:6901234500011:{number}"}],
        "ex:line": number % 7,
    }
