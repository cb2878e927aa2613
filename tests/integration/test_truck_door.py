"""Trucks at the JT/T 808 door: known ones report, and are answered when it is in the ledger; others are not let in."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.gateways import map_device
from coldchain.bootstrap.trucks import truck_door
from coldchain.decoders import jtt808
from coldchain.decoders.jtt808 import Frame, read_frame, write_frame
from coldchain.projections.series import readings
from coldchain.services.transport import gateway_order
from coldchain.settings import load_settings
from coldchain.tcp import jtt808 as door_module
from coldchain_ledger.entry import parse_entry
from opening import new_core
from unit.test_jtt808 import PHONE, T_US, report

OK, FAILED, WRONG, UNSUPPORTED = range(4)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    settings = load_settings(dir=tmp_path / "data", jtt808="127.0.0.1:0")
    with new_core(settings) as core:
        order = {"org": "acme", "site": "fleet", "device": "jtt808", "format": "jtt808"}
        _, draft = gateway_order(core.registry, "acme", order)
        assert draft is not None
        core.record(draft)
        core.refresh_registry()
        channels = [{"raw": "item.51.0", "name": "temp/front", "scale": "0.1", "bits": 16}]
        map_device(core, {"device": "T9", "gateway": "jtt808", "source": PHONE, "channels": channels})
        yield core


Dial = Callable[..., "Terminal"]


@pytest.fixture
def dial(core: Core) -> Iterator[Dial]:
    """`dial(phone, versioned)`: a terminal connected to the door; all are hung up at the end."""
    with truck_door(core, lambda: None) as address, ExitStack() as links:
        assert address is not None
        yield lambda phone=PHONE, versioned=False: links.enter_context(Terminal(address, phone, versioned))


class Terminal:
    def __init__(self, address: tuple[str, int], phone: str, versioned: bool) -> None:
        self.own = Frame(0, phone, 0, b"", True, versioned)
        self.serial = 0
        self.link = socket.create_connection(address, timeout=10)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_error: object) -> None:
        self.link.close()

    def says(self, message: int, body: bytes = b"") -> Frame:
        self.serial += 1
        self.link.sendall(write_frame(message, self.own, self.serial, body))
        return self.hears()

    def hears(self) -> Frame:
        data = b""
        while data.count(b"\x7e") < 2:
            part = self.link.recv(4_096)
            if not part:
                raise ConnectionError("the door closed")
            data += part
        return read_frame(data)

    def result(self, message: int, body: bytes = b"") -> int:
        answer = self.says(message, body)
        assert (answer.message, answer.phone) == (jtt808.ANSWER, self.own.phone)
        serial, about, result = struct.unpack(">HHB", answer.body)
        assert (serial, about) == (self.serial, message)
        return int(result)

    def registers(self) -> bytes:
        answer = self.says(jtt808.REGISTER, bytes(25) + "鲁B12345".encode("gbk"))
        assert answer.message == jtt808.REGISTERED
        assert answer.body[:3] == struct.pack(">HB", self.serial, 0)
        return answer.body[3:]

    def authenticates(self) -> int:
        code = self.registers()
        stated = bytes((len(code),)) + code + bytes(35) if self.own.versioned else code
        return self.result(jtt808.AUTHENTICATE, stated)


@pytest.mark.parametrize("versioned", [False, True])
def test_a_known_truck_reports_and_is_answered_from_the_ledger(core: Core, dial: Dial, versioned: bool) -> None:
    truck = dial(versioned=versioned)
    assert truck.authenticates() == OK
    assert truck.result(jtt808.HEARTBEAT) == OK
    body = report((0x51, struct.pack(">hh", -185, 7)))
    assert truck.result(jtt808.LOCATION, body) == OK
    with core.store.snapshot() as snapshot:
        edge = snapshot.edge()
        assert edge is not None
        entry = parse_entry(snapshot.entry(edge.size - 1))
    assert entry.payload == write_frame(jtt808.LOCATION, truck.own, truck.serial, body)
    assert (entry.grade, entry.by, entry.type) == ("transport", "acme", "application/vnd.jtt808")
    core.settle()
    with core.engine.connect() as connection:
        (only,) = readings(connection, "T9", 0, 2**62, "temp/")
    assert (only.name, only.t_us, only.value) == ("temp/front", T_US, -18_500)


def test_a_code_outlives_the_connection_and_the_door(core: Core, dial: Dial) -> None:
    code = dial().registers()
    assert dial().result(jtt808.AUTHENTICATE, code) == OK
    with truck_door(core, lambda: None) as other:
        assert other is not None
        with Terminal(other, PHONE, False) as truck:
            assert truck.result(jtt808.AUTHENTICATE, code) == OK


def test_an_unknown_truck_is_not_registered_and_nothing_of_it_is_recorded(core: Core, dial: Dial) -> None:
    size = core.log.edge().size
    stranger = dial("13900000000")
    assert stranger.says(jtt808.REGISTER).body[2] == 4
    assert stranger.result(jtt808.AUTHENTICATE, b"0" * 32) == FAILED
    assert stranger.result(jtt808.LOCATION, report()) == FAILED
    assert core.log.edge().size == size


def test_a_truck_speaks_for_no_other_on_its_connection(dial: Dial) -> None:
    truck = dial()
    assert truck.authenticates() == OK
    truck.own = truck.own._replace(phone="13900000000")
    assert truck.result(jtt808.LOCATION, report()) == FAILED


def test_without_a_code_nothing_is_taken(dial: Dial) -> None:
    truck = dial()
    assert truck.result(jtt808.LOCATION, report()) == FAILED
    assert truck.result(jtt808.AUTHENTICATE, b"wrong") == FAILED


def test_what_cannot_be_read_is_wrong_and_what_is_not_spoken_unsupported(core: Core, dial: Dial) -> None:
    truck = dial()
    assert truck.authenticates() == OK
    assert truck.result(jtt808.LOCATION, report()[:20]) == WRONG
    assert truck.result(jtt808.LOCATION, report(moment="999999999999")) == WRONG
    assert truck.result(0x0900, b"x") == UNSUPPORTED
    assert core.rejects.listing(10)["kept"] == 2


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n" * 500, b"\x7e" + bytes(8_000), b"\x7eabc\x7e"])
def test_who_speaks_something_else_is_cut_off_and_others_go_on(dial: Dial, noise: bytes) -> None:
    other = dial()
    other.link.sendall(noise)
    with pytest.raises(ConnectionError):
        other.hears()
    assert dial().authenticates() == OK


def test_who_does_not_authenticate_in_time_is_cut_off(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "LOGIN_S", 0.05)
    with pytest.raises(ConnectionError):
        dial().hears()


def test_more_connections_than_there_may_be_are_closed(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "MAX_CONNECTIONS", 1)
    first = dial()
    assert first.authenticates() == OK
    with pytest.raises(ConnectionError):
        dial().hears()


def test_a_report_that_could_not_be_recorded_is_not_answered(
    core: Core, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    truck = dial()
    assert truck.authenticates() == OK
    with monkeypatch.context() as broken:
        broken.setattr(core.store, "transaction", _full_disk)
        with pytest.raises(ConnectionError):
            truck.result(jtt808.LOCATION, report())
    again = dial()
    assert again.authenticates() == OK
    assert again.result(jtt808.LOCATION, report()) == OK


def _full_disk() -> None:
    raise OSError("no space left on device")


def test_without_the_setting_there_is_no_door(tmp_path: Path) -> None:
    with (
        new_core(load_settings(dir=tmp_path / "data")) as core,
        truck_door(core, lambda: None) as address,
    ):
        assert address is None
