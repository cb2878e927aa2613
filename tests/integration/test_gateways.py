"""Unsigned payloads of gateways: recorded as they came, judged by the mapping of their day, on either database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.gateways import map_device, sources_of
from coldchain.cli.playing import public_text
from coldchain.db.tables import telemetry as tables
from coldchain.db.tables.events import door_mount, door_window
from coldchain.db.tables.verdicts import verdict
from coldchain.decoders.formats import format_named
from coldchain.projections.follow import digests
from coldchain.projections.rollups import stretches
from coldchain.projections.series import readings
from coldchain.services.identity import CommandRefused, Enrolment, enrol
from coldchain.services.messages import Inbound, Reply
from coldchain.services.transport import gateway_order
from coldchain.settings import load_settings
from coldchain_ledger.entry import Entry, parse_entry
from coldchain_ledger.keys import parse_vkey
from coldchain_ledger.steps import EXIT_VERIFIED
from coldchain_ledger.verify import log_policy, verify_dossier
from exploring import examples
from integration.hostile import NOW_S, Clock, Truck
from opening import new_core
from unit.sparkplug_payloads import INT8, metric, payload

UP = "cc/v1/acme/fleet/gw-1/up"
EUI = "a84041000181c061"
MINUTE = 60


class Site:
    """One data directory with gateways, and what they pass on."""

    def __init__(self, core: Core, clock: Clock) -> None:
        self.core, self.clock = core, clock
        self.gateway("gw-1", "chirpstack")

    def gateway(self, device: str, form: str, **more: Any) -> None:
        order = {"org": "acme", "site": "fleet", "device": device, "format": form, **more}
        _, draft = gateway_order(self.core.registry, "acme", order)
        assert draft is not None
        self.core.record(draft)
        self.core.refresh_registry()

    def map(self, channel: str = "temp/air", scale: str = "1", **stated: Any) -> None:
        channels = [{"raw": "T", "name": channel, "scale": scale}]
        usual = {"device": "REEFER-7", "gateway": "gw-1", "source": EUI, "place": "veh:T7", "profile": "CN-frozen"}
        map_device(self.core, {**usual, "channels": channels, **stated})

    def offer(self, *payloads: bytes, topic: str = UP) -> list[Reply | None]:
        self.clock.now_us += 1_000_000
        return self.core.admission.admit([Inbound(topic, payload) for payload in payloads])

    def refusal(self, payload: bytes, topic: str = UP) -> str:
        (reply,) = self.offer(payload, topic=topic)
        assert reply is not None
        assert reply.kind == "nack"
        return reply.reason

    def entry(self, reply: Reply | None) -> Entry:
        assert reply is not None
        assert reply.index is not None
        with self.core.store.snapshot() as snapshot:
            return parse_entry(snapshot.entry(reply.index))

    def said(self, prefix: str = "temp/", device: str = "REEFER-7") -> list[tuple[int, Any, str]]:
        """(minute, value, quality) of what is known of the device."""
        self.core.settle()
        with self.core.engine.connect() as connection:
            found = readings(connection, device, 0, 2**62, prefix)
        return [((one.t_us // 1_000_000 - NOW_S) // MINUTE, one.value, one.quality) for one in found]

    def rules(self) -> list[str]:
        """What is found wrong with temperatures; the silence since the last of them always is."""
        self.core.settle()
        with self.core.engine.connect() as connection:
            return sorted(connection.scalars(select(verdict.c.rule).where(verdict.c.source == "temperature")))

    def facts(self) -> dict[str, str]:
        self.core.settle()
        views = [tables.series, tables.segment, tables.channel, tables.device_state, tables.device_disputed, verdict]
        return digests(self.core.engine, views, facts_only=True)


@contextmanager
def fresh(directory: Path, url: str = "") -> Iterator[Site]:
    clock = Clock()
    clock.now_us += 86_400 * 1_000_000
    with new_core(load_settings(dir=directory, database=url), clock=clock) as core:
        yield Site(core, clock)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else ""
    with fresh(tmp_path / "data", url) as site:
        yield site


def frame(minute: float, value: object = -20, unique: str | None = None, eui: str = EUI) -> bytes:
    seconds = int(NOW_S + minute * MINUTE)
    event = {
        "deduplicationId": unique or f"dd-{minute}",
        "time": datetime.fromtimestamp(seconds, UTC).isoformat(),
        "deviceInfo": {"devEui": eui},
        "object": {"T": value},
    }
    return json.dumps(event).encode()


def test_a_payload_is_recorded_byte_for_byte_in_its_organisations_name(site: Site) -> None:
    site.map()
    payload = frame(0, -20.5)
    (reply,) = site.offer(payload)
    entry = site.entry(reply)
    assert (entry.payload, entry.by, entry.grade, entry.kind) == (payload, "acme", "transport", "telemetry")
    assert entry.type == format_named("chirpstack").media_type
    assert entry.key == f"tr/gw-1/{EUI}/dd-0"
    assert entry.subjects == (f"code:source/gw-1/{EUI}", "dev:REEFER-7", "dev:gw-1")
    assert site.said() == [(0, -20_500, "")]


def test_the_same_payload_again_is_the_same_entry(site: Site) -> None:
    first, again = (site.offer(frame(0))[0] for _ in range(2))
    assert first is not None
    assert again is not None
    assert first.index == again.index


@pytest.mark.parametrize(
    ("payload", "topic", "reason"),
    [
        (b"\xff", UP, "malformed-payload"),
        (b"[]", UP, "malformed-payload"),
        (json.dumps({"deviceInfo": {"devEui": EUI}, "object": {"T": -20}}).encode(), UP, "no-time"),
        (b'[{"n":"temp/air","v":-18}]', f"{UP}/senml", "no-time"),
        (b"x" * 50_000, UP, "too-large"),
        (frame(0), "cc/v1/acme/other/gw-1/up", "wrong-topic"),
        (frame(0), "cc/v1/acme/fleet/gw-1/evt", "wrong-topic"),
        (frame(0), "cc/v1/acme/fleet/gw-2/up", "malformed-jws"),
    ],
)
def test_what_cannot_be_laid_at_a_gateways_door_is_refused(site: Site, payload: bytes, topic: str, reason: str) -> None:
    assert site.refusal(payload, topic) == reason


def test_a_closed_gateway_says_nothing_more_and_what_it_said_stays(site: Site) -> None:
    site.map()
    site.offer(frame(0))
    site.gateway("gw-1", "chirpstack", closed=True)
    assert site.refusal(frame(1)) == "closed-gateway"
    assert site.said() == [(0, -20_000, "")]


def test_a_gateway_cannot_speak_for_a_device_that_signs(site: Site) -> None:
    truck = Truck()
    order = Enrolment("acme", "fleet", "truck-1", truck.key.alg, public_text(truck.key))
    site.core.record(enrol(site.core.registry, "acme", order)[1])
    site.core.refresh_registry()
    assert site.refusal(frame(0), "cc/v1/acme/fleet/truck-1/up") == "malformed-jws"
    with pytest.raises(CommandRefused, match="signs its messages"):
        site.map(device="truck-1", source="other")
    with pytest.raises(CommandRefused, match="signs its messages"):
        site.gateway("truck-1", "senml")


def test_warm_goods_behind_a_gateway_are_a_breach_of_transport_grade(site: Site) -> None:
    site.map()
    site.offer(*(frame(minute, -20 if minute < 60 else -8) for minute in range(0, 240, 5)))
    assert site.rules() == ["CN-frozen gap", "CN-frozen transport limit"]
    with site.core.engine.connect() as connection:
        grades = set(connection.scalars(select(verdict.c.weakest_grade).where(verdict.c.source == "temperature")))
    assert grades == {"transport"}


def test_what_came_before_its_mapping_is_read_when_the_mapping_comes(site: Site) -> None:
    site.offer(*(frame(minute, -20) for minute in range(0, 60, 5)))
    assert site.said() == []
    site.map()
    assert len(site.said()) == 12


def test_a_mapping_from_the_same_moment_corrects_all_of_history(site: Site) -> None:
    site.map(scale="1")
    site.offer(*(frame(minute, -200) for minute in range(0, 60, 5)))
    assert {quality for _, _, quality in site.said()} == {"fault"}
    site.map(scale="0.1", from_us=0)
    assert {value for _, value, _ in site.said()} == {-20_000}
    assert site.rules() == ["CN-frozen gap"]


def test_a_mapping_from_a_moment_on_leaves_what_was_before(site: Site) -> None:
    site.map(scale="1")
    site.map(scale="0.1", from_us=(NOW_S + 30 * MINUTE) * 1_000_000)
    site.offer(frame(10, -20), frame(40, -200))
    assert site.said() == [(10, -20_000, ""), (40, -20_000, "")]


def test_packed_readings_are_told_anew_when_their_mapping_is_corrected(site: Site) -> None:
    site.map(scale="1")
    site.offer(*(frame(minute, -200) for minute in range(0, 600, 30)))
    site.core.settle()
    site.core.history.catch_up()
    site.map(scale="0.1", from_us=0)
    assert {value for _, value, _ in site.said()} == {-20_000}
    site.core.history.catch_up()
    assert [(value, quality) for _, value, quality in site.said()] == [(-20_000, "")] * 20
    with site.core.engine.connect() as connection:
        no = connection.scalar(select(tables.device.c.device_no).where(tables.device.c.device == "REEFER-7")) or 0
        hours = stretches(connection, no, 1, (0, 2**61), site.clock.now_us)
        assert sum(hour.bucket.readings for hour in hours) == 20
        assert {hour.bucket.low for hour in hours} == {-20_000}
    digests = site.core.follower.rebuild()
    assert [name for name, digest in digests.items() if digest.before != digest.after] == []


def test_a_channel_that_gets_another_name_leaves_nothing_behind(site: Site) -> None:
    site.map("temp/air")
    site.offer(*(frame(minute, -5) for minute in range(0, 240, 5)))
    assert "CN-frozen transport limit" in site.rules()
    site.map("temp/floor", from_us=0, profile="")
    assert not site.said("temp/air")
    assert len(site.said("temp/floor")) == 48
    with site.core.engine.connect() as connection:
        assert list(connection.scalars(select(tables.channel.c.channel))) == ["floor"]


def test_differing_copies_of_one_frame_are_all_kept_and_none_is_evidence(site: Site) -> None:
    site.map()
    first, second = site.offer(frame(0, -20), frame(0, -5))
    assert site.entry(second).key.startswith(site.entry(first).key + "#")
    assert {quality for _, _, quality in site.said()} == {"disputed"}


def test_two_devices_in_one_payload_are_told_apart(site: Site) -> None:
    site.gateway("gw-2", "thingsboard")
    for device, source in (("A", "Room A"), ("B", "冷库")):
        site.map(device=device, gateway="gw-2", source=source, place=f"room:w1/{device}")
    values = {"Room A": -20, "冷库": -21, "nobody's": 5}
    body = {source: [{"ts": NOW_S * 1000, "values": {"T": value}}] for source, value in values.items()}
    (reply,) = site.offer(json.dumps(body).encode(), topic="cc/v1/acme/fleet/gw-2/up")
    assert {"dev:A", "dev:B", "dev:gw-2"} < set(site.entry(reply).subjects)
    assert site.said(device="A") == [(0, -20_000, "")]
    assert site.said(device="B") == [(0, -21_000, "")]
    listed = {one["source"]: (one["device"], one["last"]["T"]) for one in sources_of(site.core, "gw-2")}
    assert listed == {"Room A": ("A", "-20"), "冷库": ("B", "-21"), "nobody's": (None, "5")}


def test_rebuilding_gives_the_same_rows(site: Site) -> None:
    site.offer(*(frame(minute, -200) for minute in range(0, 60, 5)))
    site.map(scale="0.1")
    site.offer(frame(70, -200), frame(70, -100))
    site.map(scale="0.01", from_us=(NOW_S + 20 * MINUTE) * 1_000_000)
    site.core.settle()
    changed = {name for name, one in site.core.follower.rebuild().items() if one.before != one.after}
    assert changed == set()


def test_a_dossier_about_the_device_verifies_and_carries_its_mapping(site: Site, tmp_path: Path) -> None:
    site.offer(frame(0))
    site.map()
    site.offer(frame(5))
    site.core.settle()
    path, carried = site.core.save_evidence("dev:REEFER-7", tmp_path / "dossier.jsonl")
    assert carried >= 3
    with path.open("rb") as file:
        report = verify_dossier(file, log_policy(parse_vkey(site.core.log.vkey)))
    assert [step.status for step in report.steps[:4]] == ["verified"] * 4
    assert report.exit_code == EXIT_VERIFIED


REEFER = "spBv1.0/plant/{}/edge/reefer"


def sparkplug(site: Site, kind: str, minute: float, *metrics: bytes) -> None:
    topic = f"cc/v1/acme/fleet/gw-9/up/{REEFER.format(kind)}"
    (reply,) = site.offer(payload(int(NOW_S + minute * MINUTE) * 1000, 0, *metrics), topic=topic)
    assert reply is not None
    assert reply.kind == "ack"


def test_a_birth_that_comes_late_names_what_was_numbered_before_it_came(site: Site) -> None:
    site.gateway("gw-9", "sparkplug")
    stated = {"gateway": "gw-9", "source": "plant/edge/reefer", "channels": [{"raw": "Air", "name": "temp/air"}]}
    map_device(site.core, {"device": "R9", **stated})
    sparkplug(site, "DDATA", 10, metric(238, alias=3, wire=INT8))
    assert site.said(device="R9") == []
    sparkplug(site, "DBIRTH", 5, metric(-17, INT8, name="Air", alias=3))
    sparkplug(site, "DDATA", 15, metric(236, alias=3, wire=INT8))
    assert site.said(device="R9") == [(5, -17_000, ""), (10, -18_000, ""), (15, -20_000, "")]
    sparkplug(site, "DBIRTH", 12, metric(-1, INT8, name="Setpoint", alias=3))
    assert site.said(device="R9") == [(5, -17_000, ""), (10, -18_000, "")]
    assert {name for name, one in site.core.follower.rebuild().items() if one.before != one.after} == set()


def test_a_node_without_a_birth_is_asked_for_one(site: Site) -> None:
    site.gateway("gw-9", "sparkplug")
    topic = f"cc/v1/acme/fleet/gw-9/up/{REEFER.format('DDATA')}"
    (first,) = site.offer(payload(NOW_S * 1000, 0, metric(1, INT8, alias=1)), topic=topic)
    (second,) = site.offer(payload(NOW_S * 1000, 1, metric(1, INT8, alias=1)), topic=topic)
    assert first is not None
    assert second is not None
    assert (first.kind, first.rebirth, second.rebirth) == ("ack", "plant/edge", "")


def test_a_door_behind_a_gateway_opens_and_shuts_whenever_it_was_mapped(site: Site) -> None:
    def windows() -> list[tuple[str, int, int | None]]:
        site.core.settle()
        with site.core.engine.connect() as connection:
            found = connection.execute(select(door_window)).all()
        minutes = [
            (one.door, *(None if t is None else t // 60_000_000 - NOW_S // 60 for t in (one.from_us, one.to_us)))
            for one in found
        ]
        return sorted(minutes)  # type: ignore[arg-type]

    site.offer(*(frame(minute, int(10 <= minute < 20)) for minute in range(0, 30, 5)))
    assert windows() == []
    site.map("door/rear")
    assert windows() == [("door/rear", 10, 20)]
    site.offer(frame(40, 1), frame(45, 0))
    assert windows() == [("door/rear", 10, 20), ("door/rear", 40, 45)]
    site.map("door/side", from_us=0)
    assert windows() == [("door/side", 10, 20), ("door/side", 40, 45)]
    with site.core.engine.connect() as connection:
        assert {(row.device, row.place, row.grade) for row in connection.execute(select(door_mount))} == {
            ("REEFER-7", "veh:T7", "transport")
        }
    assert {name for name, one in site.core.follower.rebuild().items() if one.before != one.after} == set()


def test_the_same_bytes_of_two_devices_are_two_messages(site: Site) -> None:
    site.gateway("gw-9", "sparkplug")
    sparkplug(site, "DDATA", 0, metric(-1, INT8, name="Air"))
    data = payload(NOW_S * 1000, 0, metric(-1, INT8, name="Air"))
    (reply,) = site.offer(data, topic="cc/v1/acme/fleet/gw-9/up/spBv1.0/plant/DDATA/edge/other")
    entry = site.entry(reply)
    assert "#" not in entry.key
    assert entry.type.endswith("; topic=spBv1.0/plant/DDATA/edge/other")
    assert [one["source"] for one in sources_of(site.core, "gw-9")] == ["plant/edge/other", "plant/edge/reefer"]


@given(st.permutations(range(6)), st.integers(1, 4))
@settings(max_examples=examples(5), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_mappings_and_frames_gives_the_same_facts(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], settle_every: int
) -> None:
    """Versions of a mapping are numbered as they come, so the first stays first; frames come before, between, after."""
    frames = [frame(minute, -200 if minute < 30 else -20, f"dd-{minute}") for minute in (0, 10, 20, 30, 40, 50)]

    def told(sequence: Sequence[int], mapped_at: int, every: int) -> dict[str, str]:
        with fresh(tmp_path_factory.mktemp("order")) as site:
            for place, number in enumerate(sequence):
                if place == mapped_at:
                    site.map(scale="0.1")
                    site.map(scale="1", from_us=(NOW_S + 30 * MINUTE) * 1_000_000)
                site.offer(frames[number])
                if place % every == 0:
                    site.core.settle()
            if mapped_at >= len(sequence):
                site.map(scale="0.1")
                site.map(scale="1", from_us=(NOW_S + 30 * MINUTE) * 1_000_000)
            site.clock.now_us = (NOW_S + 3 * 86_400) * 1_000_000
            return site.facts()

    assert told(order, settle_every + 2, settle_every) == told(range(6), 0, 1)
