"""Store and forward against real brokers; a responder plays the ledger and says what it wants."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from coldchain_devices.courier import hand_over
from coldchain_devices.errors import NotDelivered
from coldchain_devices.outbox import Outbox
from coldchain_devices.publisher import Publisher
from coldchain_devices.signer import DeviceKey, Signer

BODY = b'[{"bt":1772409600,"n":"temp/box","u":"Cel","v":-20.1}]'


def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Responder:
    """Receives what devices publish; `answer` makes the reply, if any, to one message."""

    def __init__(self, broker: Any) -> None:
        self.received: list[bytes] = []
        self.topics: list[str] = []
        self.answer: Callable[[int, int, bytes], tuple[str, dict[str, Any]] | None] = self.record
        self.statuses: list[str] = []
        self._ready = threading.Event()
        server = broker.server
        self._client = paho.Client(CallbackAPIVersion.VERSION2, server.client_id)
        self._client.username_pw_set(server.username, server.password)
        self._client.max_inflight_messages_set(1000)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("cc/v1/+/+/+/up", 1), ("cc/v1/+/+/+/evt", 1), ("cc/v1/+/+/+/status", 1)]
        )
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._message
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.connect(*broker.address)
        self._client.loop_start()
        assert self._ready.wait(5)

    @staticmethod
    def record(boot: int, seq: int, _jws: bytes) -> tuple[str, dict[str, Any]] | None:
        return "ack", {"boot": boot, "seq": seq, "index": 1000 + seq}

    @staticmethod
    def silence(_boot: int, _seq: int, _jws: bytes) -> None:
        return None

    def _message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        base, _, leaf = message.topic.rpartition("/")
        if leaf == "status":
            self.statuses.append(json.loads(message.payload)["status"])
            return
        self.received.append(message.payload)
        self.topics.append(message.topic)
        if reply := self.answer(*place(message.payload), message.payload):
            self.say(f"{base}/{reply[0]}", reply[1])

    def say(self, topic: str, body: dict[str, Any]) -> None:
        self._client.publish(topic, json.dumps(body).encode(), qos=0)

    def seqs(self) -> list[int]:
        return [place(jws)[1] for jws in self.received]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def place(jws: bytes) -> tuple[int, int]:
    header = json.loads(base64.urlsafe_b64decode(jws.split(b".")[0] + b"=="))
    return header.get("boot", 0), header.get("seq", 0)


class Site:
    """A broker, the ledger's stand-in, and devices that come and go."""

    def __init__(self, broker: Any, folder: Path) -> None:
        self.broker, self.folder = broker, folder
        self.ledger = Responder(broker)
        self.outbox = Outbox(folder / "outbox.db", synchronous="OFF")
        self._running: list[Publisher] = []

    def device(self, name: str = "d1", **options: Any) -> Publisher:
        credentials = self.broker.enrol(name)
        return self.publisher(credentials, name, **options)

    def publisher(self, credentials: Any, name: str = "d1", **options: Any) -> Publisher:
        publisher = Publisher(
            self.broker.address,
            credentials.username,
            credentials.password,
            credentials.client_id,
            "o",
            "s",
            name,
            self.outbox,
            **options,
        )
        publisher.start()
        self._running.append(publisher)
        return publisher

    def signer(self, name: str = "d1") -> Signer:
        return Signer(self.outbox, name, f"{name}#1", DeviceKey.derive(name.encode()))

    def stop(self, publisher: Publisher) -> None:
        self._running.remove(publisher)
        publisher.stop()

    def close(self) -> None:
        for publisher in list(self._running):
            self.stop(publisher)
        self.ledger.close()
        self.outbox.close()


@pytest.fixture
def site(broker: Any, tmp_path: Path) -> Iterator[Site]:
    """On each broker."""
    place = Site(broker, tmp_path)
    yield place
    place.close()


@pytest.fixture
def nats_site(nats: Any, tmp_path: Path) -> Iterator[Site]:
    """Where the broker makes no difference."""
    place = Site(nats, tmp_path)
    yield place
    place.close()


def test_what_the_ledger_acknowledged_is_forgotten_and_arrived_oldest_first(site: Site) -> None:
    signed = site.signer().sign_many([(BODY, "senml+json")] * 50)
    told: list[tuple[int, int, int]] = []
    publisher = site.device(on_ack=lambda boot, seq, index: told.append((boot, seq, index)))
    assert publisher.wait_idle(10)
    assert site.ledger.received == [message.jws for message in signed]
    assert told == [(1, seq, 1000 + seq) for seq in range(50)]
    assert site.ledger.topics == ["cc/v1/o/s/d1/up"] * 50


def test_a_brokers_word_is_not_enough_and_a_restarted_device_sends_the_same_bytes(site: Site) -> None:
    site.ledger.answer = site.ledger.silence
    credentials = site.broker.enrol("d1")
    first = site.publisher(credentials)
    signed = site.signer().sign_many([(BODY, "senml+json")] * 3)
    until(lambda: len(site.ledger.received) == 3)
    assert not first.wait_idle(0.1)
    site.stop(first)
    site.outbox.close()

    site.outbox = Outbox(site.folder / "outbox.db", synchronous="OFF")
    site.ledger.answer = site.ledger.record
    second = site.publisher(credentials)
    assert second.wait_idle(10)
    assert site.ledger.received == [message.jws for message in signed] * 2


def test_a_refused_message_is_parked_with_its_reason_and_sent_no_more(nats_site: Site) -> None:
    site = nats_site

    def refuse_the_first(boot: int, seq: int, jws: bytes) -> tuple[str, dict[str, Any]] | None:
        if seq:
            return site.ledger.record(boot, seq, jws)
        return "nack", {"boot": boot, "seq": seq, "sha256": hashlib.sha256(jws).hexdigest(), "reason": "unknown-key"}

    site.ledger.answer = refuse_the_first
    refused: list[tuple[int, int, str]] = []
    now_s = [0.0]
    publisher = site.device(
        resend_after_s=30.0,
        clock=lambda: now_s[0],
        on_nack=lambda boot, seq, reason: refused.append((boot, seq, reason)),
    )
    signed = site.signer().sign_many([(BODY, "senml+json"), (BODY, "senml+json")])
    assert publisher.wait_idle(10)
    now_s[0] = 31.0
    time.sleep(0.7)  # a turn of the loop
    assert site.ledger.seqs() == [0, 1]
    assert refused == [(1, 0, "unknown-key")]
    assert [(m.jws, m.parked) for m in site.outbox.parked("d1")] == [(signed[0].jws, "unknown-key")]

    site.ledger.answer = site.ledger.record
    assert site.outbox.requeue("d1") == 1
    assert publisher.wait_idle(10)
    assert site.ledger.received[-1] == signed[0].jws


def test_a_refused_forgery_in_our_name_does_not_stop_our_own_message(nats_site: Site) -> None:
    site = nats_site
    site.ledger.answer = lambda boot, seq, _jws: (
        "nack",
        {"boot": boot, "seq": seq, "sha256": hashlib.sha256(b"forged").hexdigest(), "reason": "bad-signature"},
    )
    publisher = site.device()
    site.signer().sign(BODY)
    until(lambda: site.ledger.received)
    assert not publisher.wait_idle(0.2)
    assert site.outbox.parked("d1") == []
    site.ledger.say("cc/v1/o/s/d1/ack", {"boot": 1, "seq": 0, "index": 0})
    assert publisher.wait_idle(10)


def test_while_the_link_is_down_nothing_arrives_and_then_all_of_it_in_order(site: Site) -> None:
    publisher, signer = site.device(), site.signer()
    signer.sign(BODY)
    assert publisher.wait_idle(10)
    publisher.set_link(False)
    until(lambda: site.ledger.statuses[-1:] == ["offline"])  # the broker speaks the last will
    signer.sign_many([(BODY, "senml+json")] * 60)
    time.sleep(0.3)
    assert site.ledger.seqs() == [0]
    publisher.set_link(True)
    assert publisher.wait_idle(10)
    assert site.ledger.seqs() == list(range(61))
    assert site.ledger.statuses[-1] == "online"


def test_no_more_than_the_window_is_unanswered_at_a_time(nats_site: Site) -> None:
    site = nats_site
    site.ledger.answer = site.ledger.silence
    site.signer().sign_many([(BODY, "senml+json")] * 20)
    publisher = site.device(window=5)
    until(lambda: len(site.ledger.received) == 5)
    time.sleep(0.2)
    assert site.ledger.seqs() == [0, 1, 2, 3, 4]
    site.ledger.answer = site.ledger.record
    more = [[1, seq, seq] for seq in (1, 2, 3, 4)]
    site.ledger.say("cc/v1/o/s/d1/ack", {"boot": 1, "seq": 0, "index": 0, "more": more})
    assert publisher.wait_idle(10)
    assert site.ledger.seqs() == list(range(20))


def test_an_answer_that_never_comes_is_asked_for_again_with_the_same_bytes(nats_site: Site) -> None:
    site, now_s = nats_site, [0.0]
    site.ledger.answer = site.ledger.silence
    publisher = site.device(resend_after_s=30.0, clock=lambda: now_s[0])
    signed = site.signer().sign(BODY)
    until(lambda: site.ledger.received)
    now_s[0] = 29.0
    time.sleep(0.7)  # a turn of the loop
    assert len(site.ledger.received) == 1
    site.ledger.answer = site.ledger.record
    now_s[0] = 30.0
    assert publisher.wait_idle(10)
    assert site.ledger.received == [signed.jws, signed.jws]


def test_a_broker_that_is_killed_loses_nothing(site: Site) -> None:
    publisher, signer = site.device(resend_after_s=1.0), site.signer()
    signer.sign_many([(BODY, "senml+json")] * 10)
    assert publisher.wait_idle(10)
    site.broker.kill_and_start()
    signer.sign_many([(BODY, "senml+json")] * 10)
    assert publisher.wait_idle(20)
    assert set(site.ledger.seqs()) == set(range(20))


def test_many_devices_share_a_process_and_an_outbox(nats_site: Site) -> None:
    site = nats_site
    names = [f"d{n}" for n in range(8)]
    publishers = [site.device(name) for name in names]
    for name in names:
        signer = site.signer(name)
        for _ in range(20):
            signer.sign(BODY, "epcis+json" if name == "d7" else "senml+json")
    assert all(publisher.wait_idle(10) for publisher in publishers)
    assert len(site.ledger.received) == 160
    assert site.ledger.topics.count("cc/v1/o/s/d7/evt") == 20


def test_a_callback_that_fails_does_not_end_the_thread(nats_site: Site, caplog: pytest.LogCaptureFixture) -> None:
    def bug(*_: int) -> None:
        raise RuntimeError("the caller's bug")

    publisher, signer = nats_site.device(on_ack=bug), nats_site.signer()
    signer.sign(BODY)
    signer.sign(BODY)
    assert publisher.wait_idle(10)
    assert "callback failed" in caplog.text


def test_an_unreadable_answer_is_passed_over(nats_site: Site, caplog: pytest.LogCaptureFixture) -> None:
    publisher = nats_site.device()
    nats_site.ledger.answer = lambda *_: ("ack", {"boot": 1})
    nats_site.signer().sign(BODY)
    until(lambda: "unreadable answer" in caplog.text)
    nats_site.ledger.say("cc/v1/o/s/d1/ack", {"boot": 1, "seq": 0, "index": 0})
    assert publisher.wait_idle(10)


def test_what_somebody_else_brings_is_answered_to_them_and_leaves_the_device_to_its_work(site: Site) -> None:
    """Mosquitto cuts the device's connection for the other's, which has the same account."""
    credentials = site.broker.enrol("d1")
    bring = functools.partial(
        hand_over, site.broker.address, credentials.username, credentials.password, "cc/v1/o/s/d1"
    )
    publisher, signer = site.publisher(credentials, resend_after_s=1.0), site.signer()
    first = signer.sign(BODY, "epcis+json")
    assert publisher.wait_idle(10)

    assert bring(first) == "ack"
    site.ledger.answer = lambda boot, seq, jws: (
        "nack",
        {"boot": boot, "seq": seq, "sha256": hashlib.sha256(jws).hexdigest(), "reason": "bad-signature"},
    )
    assert bring(replace(first, jws=b"e30.e30.AA")) == "nack"
    site.ledger.answer = site.ledger.silence
    with pytest.raises(NotDelivered, match=r"cc/v1/o/s/d1 within 0\.5 s"):
        bring(first, timeout_s=0.5)

    site.ledger.answer = site.ledger.record
    signer.sign(BODY)
    assert publisher.wait_idle(20)
    assert site.ledger.topics[:2] == ["cc/v1/o/s/d1/evt"] * 2
    assert site.ledger.received[:2] == [first.jws] * 2
    assert site.outbox.parked("d1") == []
