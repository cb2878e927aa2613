"""From a device through a real broker to admission and back: acknowledged means recorded."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import pytest

from coldchain.mqtt import connection, stream
from coldchain.mqtt.accounts import new_account
from coldchain.mqtt.subscriber import Subscriber
from coldchain.services.messages import Reply

UP = "cc/v1/o/s/d1/up"


class Ledger:
    """Stands for admission: records payloads, or refuses to while it is `away`."""

    def __init__(self) -> None:
        self.recorded: list[bytes] = []
        self.topics: list[str] = []
        self.attempts = 0
        self.away = False
        self.open = threading.Event()
        self.open.set()
        self.replies: list[Reply | None] = []

    def admit(self, batch):
        self.attempts += 1
        self.open.wait(30)
        if self.away:
            raise OSError("database is away")
        self.recorded += [message.payload for message in batch]
        self.topics += [message.topic for message in batch]
        return self.replies


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def attach(ledger):
    """Start a subscriber that feeds the ledger."""
    running = []

    def start(address, credentials, **options):
        subscriber = Subscriber(address, credentials, ledger.admit, linger_s=0.005, **options)
        running.append(subscriber)
        subscriber.start()
        return subscriber

    yield start
    ledger.open.set()
    for subscriber in running:
        subscriber.stop()


@pytest.fixture
def subscribe(broker, attach, wait_for):
    """Start one at the broker under test; returns when messages can come in."""

    def start(**options):
        subscriber = attach(broker.address, broker.server, **options)
        wait_for(lambda: not subscriber.fault)
        return subscriber

    return start


@pytest.fixture
def device(broker, connect):
    return connect(broker, broker.enrol("d1"))


def test_what_is_published_is_recorded_once_and_in_order(subscribe, device, ledger, wait_for):
    subscriber = subscribe()
    sent = [b"%d" % number for number in range(2000)]
    for payload in sent:
        device.client.publish(UP, payload, qos=1)

    wait_for(lambda: len(ledger.recorded) >= len(sent))
    assert ledger.recorded == sent
    wait_for(lambda: subscriber.stats.acknowledged == len(sent))
    wait_for(lambda: (subscriber.stats.queue_bytes, subscriber.stats.queue_messages) == (0, 0))  # released last
    assert ledger.attempts < len(sent) / 5


def test_events_come_in_too_and_the_state_of_connections_does_not(subscribe, device, ledger, wait_for):
    subscriber = subscribe()
    device.publish("cc/v1/o/s/d1/status", b"online")
    device.publish("cc/v1/o/s/d1/evt", b"scan")
    device.client.publish(UP, b"at QoS 0", qos=0)

    wait_for(lambda: sorted(ledger.recorded) == [b"at QoS 0", b"scan"])
    wait_for(lambda: subscriber.stats.queue_messages == 0)
    assert subscriber.stats.acknowledged == 1


def test_a_device_is_answered_after_the_commit_and_in_few_messages(subscribe, device, ledger, wait_for):
    base = "cc/v1/o/s/d1"
    assert device.subscribe(f"{base}/ack")
    assert device.subscribe(f"{base}/nack")
    ledger.replies = [
        Reply(base, "ack", 3, 41, 900),
        Reply(base, "ack", 3, 42, 901),
        None,
        Reply(base, "nack", None, None, None, "ab" * 32, "malformed-jws"),
        Reply("cc/v1/o/s/other", "ack", 1, 0, 902),
    ]
    ledger.open.clear()
    subscriber = subscribe()
    device.publish(UP, b"x")
    wait_for(lambda: ledger.attempts == 1)
    assert device.received == []

    ledger.open.set()

    wait_for(lambda: len(device.received) == 2)
    told = {topic: json.loads(payload) for topic, payload in device.received}
    assert told[f"{base}/ack"] == {"boot": 3, "seq": 41, "index": 900, "more": [[3, 42, 901]]}
    assert told[f"{base}/nack"] == {"boot": None, "seq": None, "sha256": "ab" * 32, "reason": "malformed-jws"}
    assert subscriber.stats.replies == 3


def test_while_the_database_is_away_nothing_is_acknowledged_and_afterwards_nothing_is_lost(
    subscribe, device, ledger, wait_for
):
    ledger.away = True
    subscriber = subscribe()
    for number in range(5):
        device.publish(UP, b"%d" % number)
    wait_for(lambda: ledger.attempts >= 3)

    assert subscriber.stats.acknowledged == 0
    assert subscriber.fault == "cannot record messages: OSError: database is away"
    assert subscriber.stats.batch_failures >= 2

    ledger.away = False
    wait_for(lambda: subscriber.stats.acknowledged == 5)
    assert ledger.recorded == [b"%d" % number for number in range(5)]
    assert subscriber.fault == ""


def test_a_server_that_stops_before_the_commit_gets_the_messages_again(subscribe, device, ledger, wait_for):
    ledger.away = True
    first = subscribe()
    device.publish(UP, b"kept")
    wait_for(lambda: ledger.attempts)
    first.stop()

    ledger.away = False
    second = subscribe()
    wait_for(lambda: ledger.recorded == [b"kept"])
    wait_for(lambda: second.stats.acknowledged == 1)
    second.stop()

    third = subscribe()
    device.publish(UP, b"new")
    wait_for(lambda: b"new" in ledger.recorded)
    assert (ledger.recorded, third.stats.repeated) == ([b"kept", b"new"], 0)


def test_a_full_queue_makes_the_broker_wait_and_loses_nothing(subscribe, device, ledger, wait_for):
    bound = 256 * 1024
    ledger.open.clear()
    subscriber = subscribe(queue_bytes=bound, batch_messages=50)
    sent = {b"%05d" % number + bytes(4096) for number in range(400)}
    for payload in sent:
        device.client.publish(UP, payload, qos=1)
    wait_for(lambda: subscriber.stats.pauses == 1)
    time.sleep(0.1)  # more would come in now, if it could

    assert subscriber.stats.queue_bytes < bound + stream.READ_BYTES + 5000
    assert subscriber.stats.queue_messages < len(sent) / 2

    ledger.open.set()
    wait_for(lambda: set(ledger.recorded) == sent, 20)
    wait_for(lambda: subscriber.stats.queue_bytes == 0)
    assert subscriber.stats.connections == 1


def test_a_backlog_larger_than_the_queue_does_not_keep_the_server_from_coming_back(
    monkeypatch, broker, subscribe, attach, device, ledger, wait_for
):
    """The broker sends the backlog before it answers the subscription."""
    monkeypatch.setattr(connection, "OPEN_TIMEOUT_S", 1.0)
    subscribe().stop()
    sent = {b"%05d" % number + bytes(4096) for number in range(200)}
    for payload in sent:
        device.client.publish(UP, payload, qos=1)
    device.publish(UP, b"last")
    ledger.open.clear()

    returned = attach(broker.address, broker.server, queue_bytes=128 * 1024)
    wait_for(lambda: returned.stats.pauses)
    time.sleep(1.5)  # longer than opening may take
    ledger.open.set()

    wait_for(lambda: set(ledger.recorded) == sent | {b"last"} and not returned.fault)
    assert returned.stats.connections == 1


def test_a_pause_that_outlasts_the_keepalive_costs_the_connection_and_no_message(
    monkeypatch, subscribe, device, ledger, wait_for
):
    monkeypatch.setattr(connection, "KEEPALIVE_S", 1)
    ledger.open.clear()
    subscriber = subscribe(queue_bytes=64 * 1024, batch_messages=10)
    sent = {b"%05d" % number + bytes(4096) for number in range(100)}
    for payload in sent:
        device.client.publish(UP, payload, qos=1)
    wait_for(lambda: subscriber.stats.pauses and subscriber.fault)
    assert subscriber.stats.connections == 1

    ledger.open.set()

    wait_for(lambda: subscriber.stats.acknowledged >= len(sent))
    assert set(ledger.recorded) == sent
    assert subscriber.stats.void
    assert subscriber.stats.sessions_lost == 0


def test_a_broker_that_is_killed_costs_no_recorded_message(broker, subscribe, device, ledger, wait_for):
    """The broker may lose what it acknowledged; the device repeats what the ledger has not."""
    subscriber = subscribe()
    sent = [b"%d" % number for number in range(300)]
    for payload in sent[:150]:
        device.client.publish(UP, payload, qos=1)
    wait_for(lambda: ledger.recorded)

    broker.kill_and_start()
    assert device.is_up()
    for payload in sent[150:]:
        device.client.publish(UP, payload, qos=1)

    def repeat_until_recorded():
        missing = set(sent) - set(ledger.recorded)
        if missing and subscriber.fault == "" and device.is_up():
            for payload in missing:
                device.publish(UP, payload)
        return not missing

    wait_for(repeat_until_recorded, 20)
    assert subscriber.stats.connections >= 2


def test_acknowledgements_of_a_lost_connection_are_dropped_and_the_messages_come_again(
    nats, attach, connect, ledger, wait_for
):
    subscriber = attach(nats.address, nats.server)
    device = connect(nats, nats.enrol("d1"))
    wait_for(lambda: not subscriber.fault)
    ledger.open.clear()
    device.publish(UP, b"in flight")
    wait_for(lambda: ledger.attempts == 1)

    nats.kill_and_start()
    wait_for(lambda: subscriber.stats.connections >= 2 and not subscriber.fault)
    ledger.open.set()

    wait_for(lambda: subscriber.stats.acknowledged == 1)
    assert ledger.recorded == [b"in flight", b"in flight"]
    assert (subscriber.stats.void, subscriber.stats.sessions_lost) == (1, 0)


def test_what_nats_repeats_while_it_still_waits_here_is_not_queued_twice(nats, attach, connect, ledger, wait_for):
    subscriber = attach(nats.address, nats.server)
    device = connect(nats, nats.enrol("d1"))
    wait_for(lambda: not subscriber.fault)
    ledger.open.clear()
    device.publish(UP, b"slow")

    wait_for(lambda: subscriber.stats.repeated)  # ACK_WAIT is 1 s in these tests
    ledger.open.set()

    wait_for(lambda: subscriber.stats.acknowledged == 1)
    assert ledger.recorded == [b"slow"]


def test_a_message_beyond_the_broker_s_bound_cuts_its_sender_and_nobody_else(
    broker, subscribe, connect, device, ledger, wait_for
):
    subscriber = subscribe()
    bully = connect(broker, broker.enrol("d2"))
    bully.client.publish("cc/v1/o/s/d2/up", bytes(256 * 1024 + 64), qos=1)
    wait_for(lambda: bully.drops)
    device.publish(UP, b"after")

    wait_for(lambda: ledger.recorded == [b"after"])
    assert subscriber.stats.connections == 1


def test_the_largest_message_a_device_may_send_comes_through(subscribe, device, ledger, wait_for):
    subscribe()
    device.publish(UP, bytes(48 * 1024))

    wait_for(lambda: ledger.recorded == [bytes(48 * 1024)])


def test_stopping_does_not_wait_for_a_database_that_hangs(subscribe, device, ledger, wait_for):
    ledger.open.clear()
    subscriber = subscribe()
    device.publish(UP, b"x")
    wait_for(lambda: ledger.attempts)
    started = time.monotonic()

    subscriber.stop()

    assert time.monotonic() - started < 15, "the database hangs for 30 s, stopping takes 2 s on a machine at rest"


def test_a_server_whose_password_is_unknown_says_so_and_gets_in_once_it_is_known(broker, attach, wait_for):
    account, credentials = new_account("server")
    subscriber = attach(broker.address, credentials)
    wait_for(lambda: "broker refuses the connection of 'coldchain': Not authorized" in subscriber.fault)

    broker.in_force[account.username] = account
    broker.apply()

    wait_for(lambda: not subscriber.fault)


def test_an_account_that_may_not_listen_is_told_which_topics(nats, attach, wait_for):
    subscriber = attach(nats.address, nats.enrol("d1"))

    wait_for(lambda: "does not grant QoS 1 on cc/v1/+/+/+/up/#, cc/v1/+/+/+/evt" in subscriber.fault)


def test_a_broker_that_is_not_there_yet_is_waited_for(free_port, attach, wait_for):
    address = ("127.0.0.1", free_port())
    subscriber = attach(address, new_account("server")[1])

    wait_for(lambda: f"broker at 127.0.0.1:{address[1]}: " in subscriber.fault)


GRANTED = b"\x20\x02\x00\x00" + b"\x90\x04\x00\x01\x01\x01"
"""CONNACK, and SUBACK for two filters at QoS 1."""


@pytest.fixture
def stranger():
    """Listens where a broker should: `stranger(answer)` has it send these bytes to whoever connects."""
    with contextlib.ExitStack() as stack:

        def listen(answer: bytes) -> Stranger:
            return stack.enter_context(Stranger(answer))

        yield listen


class Stranger:
    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.address = self._listener.getsockname()
        self.accepted: list[socket.socket] = []

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.accepted.append(self._listener.accept()[0])
                self.accepted[-1].sendall(self._answer)

    def __enter__(self) -> Stranger:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in (*self.accepted, self._listener):
            one.close()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", "not granted a session"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not granted a session"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2" + bytes(100), "protocol error"),
        (b"\x20\x02\x00\x05", "Not authorized"),
        (b"\x20\x02\x00\x01", "protocol error"),
        (b"\x30\x02\xff\xff", "none of QoS 0 or 1"),
        (b"\x30\xff\xff\xff\xff\xff", "more than 4 bytes"),
        (b"\x20\x02\x00\x00\x90\x03\x00\x01\x80", "does not grant QoS 1"),
        (GRANTED + b"\xf0\x00", "protocol error"),
    ],
)
def test_whoever_answers_on_the_port_cannot_bring_the_server_down(
    monkeypatch, attach, stranger, wait_for, answer, fault
):
    monkeypatch.setattr(connection, "OPEN_TIMEOUT_S", 0.3)
    someone = stranger(answer)

    subscriber = attach(someone.address, new_account("server")[1])

    wait_for(lambda: fault in subscriber.fault)
    wait_for(lambda: len(someone.accepted) >= 2)  # it tries again


def test_a_topic_nobody_can_read_is_admission_s_to_refuse_and_not_met_again(stranger, attach, ledger, wait_for):
    broken = stranger(GRANTED + b"\x32\x06\x00\x01\xff\x00\x07x")

    subscriber = attach(broken.address, new_account("server")[1])

    wait_for(lambda: subscriber.stats.acknowledged == 1)
    assert ledger.topics == ["\ufffd"]
    assert subscriber.stats.connections == 1


def test_a_broker_that_falls_silent_is_left(monkeypatch, stranger, attach, wait_for):
    monkeypatch.setattr(connection, "KEEPALIVE_S", 1)
    silent = stranger(GRANTED)

    subscriber = attach(silent.address, new_account("server")[1])

    wait_for(lambda: not subscriber.fault)
    wait_for(lambda: "has not answered a ping" in subscriber.fault)
    wait_for(lambda: len(silent.accepted) >= 2)
    assert silent.accepted[0].recv(4096).endswith(b"\xc0\x00")  # it had asked: PINGREQ


def test_an_error_nobody_foresaw_costs_a_connection_and_no_message(monkeypatch, subscribe, device, ledger, wait_for):
    subscriber = subscribe()
    monkeypatch.setattr(connection, "Burst", None)  # TypeError as soon as anything arrives
    device.publish(UP, b"kept")
    wait_for(lambda: "TypeError" in subscriber.fault)

    monkeypatch.undo()

    wait_for(lambda: ledger.recorded == [b"kept"])
    wait_for(lambda: subscriber.stats.acknowledged == 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_is_told_and_what_it_had_not_acknowledged_comes_again(
    monkeypatch, subscribe, device, ledger, wait_for
):
    subscriber = subscribe()
    monkeypatch.setattr(subscriber, "_acknowledge", None)
    device.publish(UP, b"kept")
    wait_for(lambda: subscriber.fault == "thread mqtt worker has ended: restart the server")
    subscriber.stop()

    subscribe()

    wait_for(lambda: ledger.recorded == [b"kept", b"kept"])


def test_a_batch_that_waits_is_begun_while_the_one_before_is_recorded_and_recorded_after_it(
    subscribe, device, ledger, wait_for
):
    begun, published = [], threading.Event()

    def begin(messages):
        begun.append(len(messages))
        published.wait(30)
        return messages

    ledger.open.clear()
    subscriber = subscribe(begin=begin, batch_messages=4)
    payloads = [b"%d" % number for number in range(12)]
    device.publish(UP, payloads[0])
    wait_for(lambda: begun == [1])
    for payload in payloads[1:]:
        device.publish(UP, payload)
    wait_for(lambda: subscriber.stats.received == len(payloads))
    published.set()
    wait_for(lambda: ledger.attempts == 1)
    wait_for(lambda: len(begun) == 2)
    assert begun[1] >= 4, "whole batches only: a small one would gain nothing and cost a transaction"
    assert ledger.recorded == []
    ledger.open.set()
    wait_for(lambda: ledger.recorded == payloads)
    assert sum(begun) == len(payloads)


def test_a_batch_that_cannot_be_begun_is_tried_again_in_its_turn(subscribe, device, ledger, wait_for):
    failures = iter([True, True])

    def begin(messages):
        if next(failures, False):
            raise OSError("database is away")
        return messages

    subscriber = subscribe(begin=begin)
    device.publish(UP, b"1")
    wait_for(lambda: ledger.recorded == [b"1"])
    assert subscriber.stats.batch_failures == 1, "the early attempt is not counted, the one in its turn is"
