"""Every hostile input has one outcome, and docs/hostile-input.md lists it: nothing lost, nothing crashed."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from coldchain.decoders.wire import SignedWire
from coldchain.settings import load_settings
from coldchain_devices.signer import Chain, DeviceKey
from coldchain_ledger.errors import StoreError
from coldchain_ledger.fsck import fsck
from coldchain_ledger.keys import parse_vkey
from integration.hostile import NOW_S, UP, Clock, Door, Truck
from opening import new_core

DOC = Path(__file__).parents[2] / "docs" / "hostile-input.md"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    clock = Clock()
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        yield Door(core, clock)
        assert fsck(core.store, parse_vkey(core.log.vkey)).ok


EVENT = (
    b'{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",{"x":"urn:x:"}],'
    b'"type":"ObjectEvent","eventID":"urn:uuid:7f254389-ec14-5207-bee1-9d4ef6d609b2","action":"OBSERVE",'
    b'"eventTime":"2026-03-01T00:00:00Z","eventTimeZoneOffset":"+00:00",'
    b'"epcList":["urn:epc:id:sscc:6901234.1000000001"],"bizStep":"storing"}'
)
WRONG = b"https://id.gs1.org/00/169012340000000019"
SENSED = (
    b'{"sensorMetadata":{"time":"2026-03-01T00:00:00Z"},'
    b'"sensorReport":[{"type":"Count","value":3,"time":"2026-03-01T00:00:00Z"}]}'
)
Case = Callable[[Door], str]


def says(body: bytes) -> Case:
    return lambda door: door.outcome([door.truck.says(body)])


def scan(document: bytes) -> Case:
    return lambda door: door.outcome([door.truck.says(document, "epcis+json")], topic=UP[:-2] + "evt")


def raw(payload: bytes) -> Case:
    return lambda door: door.outcome([payload])


def header(**fields: object) -> Case:
    return lambda door: door.outcome([door.truck.header(**fields)])


def reading(celsius: object = -20.0, t_s: float = NOW_S) -> Case:
    return lambda door: door.outcome([door.truck.reading(celsius, t_s)])


def body(text: str) -> Case:
    return says(text.encode())


def wrong_topic(door: Door) -> str:
    return door.outcome([door.truck.reading()], topic="cc/v1/acme/fleet/truck-2/up")


def topic_below(door: Door) -> str:
    return door.outcome([door.truck.reading()], topic=UP + "/more")


def unknown_key(door: Door) -> str:
    return door.outcome([Truck("truck-9").reading()], topic="cc/v1/acme/fleet/truck-9/up")


def forged_key(door: Door) -> str:
    return door.outcome([Truck(key=DeviceKey.generate()).reading()])


def flipped_bit(door: Door) -> str:
    message = bytearray(door.truck.reading())
    message[len(message) // 2] ^= 1
    return door.outcome([bytes(message)])


def other_algorithm(door: Door) -> str:
    return door.outcome([Truck(key=DeviceKey.generate("ES256")).reading()])


def rotated_key(door: Door) -> str:
    door.offer(door.truck.reading())
    return door.outcome([door.rotated().reading(t_s=NOW_S + 60)])


def old_key_after_rotation(door: Door) -> str:
    door.rotated()
    return door.outcome([door.truck.reading()])


def revoked_key_new_message(door: Door) -> str:
    door.offer(door.truck.reading())
    door.revoke()
    return door.outcome([door.truck.reading(-5.0, NOW_S + 60)])


def revoked_key_late_message(door: Door) -> str:
    early, late = door.truck.reading(), door.truck.reading(t_s=NOW_S + 60)
    door.offer(late)
    door.revoke()
    return door.outcome([early])


def gap(door: Door) -> str:
    first, _lost, third = (door.truck.reading(t_s=NOW_S + 60 * n) for n in range(3))
    return door.outcome([first, third])


def gap_filled_later(door: Door) -> str:
    first, second, third = (door.truck.reading(t_s=NOW_S + 60 * n) for n in range(3))
    return door.outcome([first, third, second])


def broken_link(door: Door) -> str:
    first = door.truck.reading()
    door.truck.chain = Chain(1, 1, b"\1" * 32)
    return door.outcome([first, door.truck.reading(t_s=NOW_S + 60)])


def clock_set_back(door: Door) -> str:
    return door.outcome([door.truck.reading(), door.truck.reading(t_s=NOW_S - 60)])


def duplicate(door: Door) -> str:
    message = door.truck.reading()
    (first,) = door.offer(message)
    result = door.outcome([message])
    (again,) = door.offer(message)
    assert first is not None
    assert first == again, "a duplicate is answered with the index it already has"
    return result


def replayed_other_bytes(door: Door) -> str:
    first = door.truck.reading()
    door.truck.chain = Chain(1, 0, b"")
    return door.outcome([first, door.truck.reading(-5.0)])


def sixth_copy(door: Door) -> str:
    copies = []
    for celsius in range(6):
        door.truck.chain = Chain(1, 0, b"")
        copies.append(door.truck.reading(-20.0 - celsius))
    return door.outcome(copies)


def respelled_signature(door: Door) -> str:
    """ECDSA: (r, -s) verifies as well, and anybody can compute it."""
    from coldchain_devices.signer import b64url

    truck = Truck("truck-2", key=DeviceKey.generate("ES256"))
    door.enrol(truck)
    message = truck.reading()
    part, _, signature = message.rpartition(b".")
    r_s = urlsafe_b64decode(signature + b"==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = r_s[:32] + (order - int.from_bytes(r_s[32:])).to_bytes(32)
    topic = "cc/v1/acme/fleet/truck-2/up"
    first, second = door.offer(message, part + b"." + b64url(twin).encode(), topic=topic)
    assert first == second
    return door.outcome([message], topic=topic)


def older_boot_late(door: Door) -> str:
    early = door.truck.reading()
    door.truck.chain = Chain(2, 0, door.truck.chain.prev)
    return door.outcome([door.truck.reading(t_s=NOW_S + 60), early])


def flood_of_forgeries(door: Door) -> str:
    size = door.core.log.edge().size
    forger = Truck(key=DeviceKey.generate())
    result = door.outcome([forger.reading(t_s=NOW_S + n) for n in range(200)])
    assert door.core.log.edge().size == size, "forgeries do not fill the ledger"
    door.clock.now_us += 2 * 3_600_000_000
    door.core.settle()
    with door.core.store.snapshot() as snapshot:
        tallies = [data for data in snapshot.entries(size, door.core.log.edge().size) if b'"kind":"reject"' in data]
    assert len(tallies) == 1
    assert b'"count":200' in tallies[0]
    return result


TWICE = (
    urlsafe_b64encode(
        b'{"alg":"EdDSA","kid":"truck-1#1","typ":"senml+json","boot":1,"seq":0,"seq":1,"prev":""}'
    ).rstrip(b"=")
    + b".W10."
    + b"A" * 86
)
CASES: dict[str, Case] = {
    "a truck reading, as it should be": reading(),
    "not a JWS": raw(b"hello"),
    "an empty message": raw(b""),
    "bytes that are no text": raw(b"\xff\xfe\x00" * 9),
    "a JWS of four parts": raw(b"a.b.c.d"),
    "a JWS header that is no JSON": raw(b"bm8.e30.AAAA"),
    "a header without seq": header(seq=None),
    "a negative seq": header(seq=-1),
    "a seq of 2^53": header(seq=2**53),
    "a header with `crit`": header(crit=["b64"]),
    "a header field given twice": raw(TWICE),
    "alg none": header(alg="none"),
    "a kid without a device": header(kid="#1"),
    "over 48 KiB": raw(b"x" * (48 * 1024 + 1)),
    "a topic of another device": wrong_topic,
    "a topic below the device's own": topic_below,
    "an unknown key": unknown_key,
    "a known key id, another's signature": forged_key,
    "one bit flipped": flipped_bit,
    "another algorithm under a known key id": other_algorithm,
    "a rotated key": rotated_key,
    "the old key after a rotation": old_key_after_rotation,
    "a revoked key, new message": revoked_key_new_message,
    "a revoked key, late message that a known one names": revoked_key_late_message,
    "a message missing": gap,
    "the missing message, late": gap_filled_later,
    "a `prev` that names another message": broken_link,
    "a clock set back": clock_set_back,
    "the same message again": duplicate,
    "the same seq with other bytes": replayed_other_bytes,
    "a sixth copy of one seq": sixth_copy,
    "the same message, signature respelled": respelled_signature,
    "a late message of an older boot": older_boot_late,
    "200 forgeries": flood_of_forgeries,
    "a payload that is no JSON": body("{"),
    "a payload that is no UTF-8": says(b"\xff\xfe"),
    "JSON that is no SenML": body('{"temperature": -20}'),
    "an empty pack": body("[]"),
    "a pack of 300 names": body(json.dumps([{"n": f"a{n}", "bt": NOW_S, "v": n} for n in range(300)])),
    "JSON nested 20,000 deep": body("[" * 20_000),
    "NaN": body(f'[{{"n":"temp/box","u":"Cel","t":{NOW_S},"v":NaN}}]'),
    "Infinity": body(f'[{{"n":"temp/box","u":"Cel","t":{NOW_S},"v":-Infinity}}]'),
    "1e999": body(f'[{{"n":"temp/box","u":"Cel","t":{NOW_S},"v":1e999}}]'),
    "a temperature that is a text": reading("cold"),
    "a temperature that is missing": body(f'[{{"n":"temp/box","u":"Cel","t":{NOW_S}}}]'),
    "-127, an open DS18B20": reading(-127.0),
    "85.0, its power-on value": reading(85.0),
    "6553.5, an unsigned wrap": reading(6553.5),
    "a relative time": reading(t_s=-5),
    "a time in 1970": body('[{"n":"temp/box","u":"Cel","t":1000,"v":-20}]'),
    "a time in 1979": body('[{"n":"temp/box","u":"Cel","t":300000000,"v":-20}]'),
    "a time in 2099": reading(t_s=4_070_908_800),
    "an event that is no EPCIS": scan(b"{}"),
    "an event nested 100 deep": scan(EVENT[:-1] + b',"x:y":' + b"[" * 100 + b"]" * 100 + b"}"),
    "an event with a NUL in a text": scan(EVENT.replace(b"storing", b"sto\\u0000ring")),
    "an event with half a surrogate": scan(EVENT.replace(b"storing", b"\\ud800")),
    "an event without a context": scan(EVENT.replace(b"@context", b"x:context")),
    "an event of a business step nobody knows": scan(EVENT.replace(b"storing", b"flying")),
    "an event whose time has no offset": scan(EVENT.replace(b"00:00Z", b"00:00")),
    "an event with a prefix nobody declared": scan(EVENT[:-1] + b',"my:note":1}'),
    "an event with a wrong check digit": scan(EVENT.replace(b"urn:epc:id:sscc:6901234.1000000001", WRONG)),
    "an event with the number 1e999": scan(EVENT[:-1] + b',"x:y":1e999}'),
    "an event that names a key twice": scan(EVENT[:-1] + b',"bizStep":"loading"}'),
    "an event that states a sensor attribute twice": scan(EVENT[:-1] + b',"sensorElementList":[' + SENSED + b"]}"),
    "an unknown typ": header(typ="cbor"),
}
BROKER = {
    "over 256 kB": "broker",
    "a device on a topic that is not its own": "broker",
    "a client with the server's client id": "broker",
    "a wrong password": "broker",
}
"""Held by tests/integration/test_broker_*.py against both brokers."""


def documented() -> dict[str, str]:
    rows = [line.strip("| ").split(" | ") for line in DOC.read_text().splitlines() if line.startswith("| ")]
    return {row[0]: row[1].strip("`") for row in rows[1:] if len(row) >= 2}


@pytest.mark.parametrize("name", CASES)
def test_each_hostile_input_has_the_outcome_that_is_documented(door: Door, name: str) -> None:
    assert CASES[name](door) == documented()[name]


def test_every_documented_outcome_is_tested() -> None:
    assert documented().keys() == CASES.keys() | BROKER.keys()


def test_a_full_disk_acknowledges_nothing_and_loses_nothing(door: Door) -> None:
    messages = [door.truck.reading(t_s=NOW_S + n) for n in range(400)]
    core = door.core
    with core.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 2

    def fill(connection: object, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

    event.listen(core.engine, "checkout", fill)
    with pytest.raises(StoreError, match="full"):
        door.offer(*messages)
    size = core.log.edge().size
    event.remove(core.engine, "checkout", fill)
    event.listen(core.engine, "checkout", lambda c, *_: c.execute("PRAGMA max_page_count = 1000000"))
    replies = door.offer(*messages)
    assert [reply.index for reply in replies if reply] == list(range(size, size + 400))


def test_a_database_that_is_away_acknowledges_nothing_and_loses_nothing(
    tmp_path: Path, postgres: object, migrated_postgres_url: str
) -> None:
    clock = Clock()
    with new_core(load_settings(dir=tmp_path / "data", database=migrated_postgres_url), clock=clock) as core:
        door = Door(core, clock)
        (first,) = door.offer(door.truck.reading())
        assert first is not None
        assert first.index is not None
        postgres.crash()  # type: ignore[attr-defined]
        message = door.truck.reading(t_s=NOW_S + 60)
        try:
            with pytest.raises(StoreError):
                door.offer(message)
        finally:
            postgres.start()  # type: ignore[attr-defined]
        (second,) = door.offer(message)
        assert second is not None
        assert second.index == first.index + 1
        assert fsck(core.store, parse_vkey(core.log.vkey)).ok


def test_a_message_that_fits_no_entry_is_refused_alone(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders let no such name through; should one ever do, the others of its batch are recorded all the same."""
    messages = [door.truck.says(EVENT, "epcis+json") for _ in range(6)]
    before = hashlib.sha256(messages[2]).digest()
    monkeypatch.setattr(
        SignedWire,
        "subjects",
        lambda _self, content, _by: (("hu:acme/" + "x" * (200 * (content.prev == before)),), None),
    )
    replies = door.offer(*messages, topic=UP[:-2] + "evt")
    assert [reply.kind for reply in replies if reply] == ["ack", "ack", "ack", "nack", "ack", "ack"]
    (kept,) = door.core.rejects.listing(10)["items"]
    assert (kept["reason"], kept["bytes"]) == ("unrecordable", len(messages[3]))
