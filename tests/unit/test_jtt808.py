"""JT/T 808 frames: read in both editions, escaped, checked, and below zero in every spelling there is."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.decoders import jtt808
from coldchain.decoders.errors import DecodeError
from coldchain.decoders.jtt808 import Frame, read_frame, write_frame
from coldchain.domain.mappings import read_channel
from coldchain.domain.uplinks import Raw

PHONE = "13812345678"
T_US = int(datetime(2026, 3, 1, 21, 20, tzinfo=UTC).timestamp()) * 1_000_000


def terminal(versioned: bool = False, phone: str = PHONE) -> Frame:
    return Frame(0, phone, 0, b"", True, versioned)


def report(*items: tuple[int, bytes], status: int = 2, moment: str = "260302052000") -> bytes:
    fixed = struct.pack(">IIIIhHH", 0, status, 36_067_100, 120_382_600, -5, 360, 90) + bytes.fromhex(moment)
    return fixed + b"".join(bytes((number, len(content))) + content for number, content in items)


def location(body: bytes, versioned: bool = False) -> bytes:
    return write_frame(jtt808.LOCATION, terminal(versioned), 7, body)


def values(frame: bytes) -> dict[str, object]:
    (only,) = jtt808.read(frame).reports
    return {raw.name: raw.value for raw in only.readings}


@pytest.mark.parametrize("versioned", [False, True])
def test_a_location_of_either_edition_says_who_when_and_where(versioned: bool) -> None:
    (only,) = jtt808.read(location(report(status=2 | 4 | 8), versioned)).reports
    assert (only.source, only.t_us) == (PHONE, T_US)
    assert only.readings == (
        Raw("status", Decimal(14)),
        Raw("lat", Decimal("-36.067100"), canonical=True),
        Raw("lon", Decimal("-120.382600"), canonical=True),
        Raw("speed", Decimal(10), "m/s", canonical=True),
    )


def test_without_a_fix_there_is_no_position() -> None:
    assert values(location(report(status=0))) == {"status": 0}


@pytest.mark.parametrize(
    ("content", "celsius"), [(b"\x00\x05", 5), (b"\x80\x12", -18), (b"\x80\x00", 0), (b"\xff\xff", -32_767)]
)
def test_the_carriage_temperature_has_its_minus_in_the_highest_bit(content: bytes, celsius: int) -> None:
    assert values(location(report((0x06, content))))["carriage_temperature"] == celsius


def test_a_vendors_probes_are_unsigned_words_until_a_mapping_says_how_they_go_below_zero() -> None:
    said = values(location(report((0x51, struct.pack(">hhh", -185, -4, 30)), (0x25, b"\0\0\0\1"))))
    assert [said[f"item.51.{place}"] for place in range(3)] == [65_351, 65_532, 30]
    assert said["item.25"] == 1
    channel = read_channel({"raw": "item.51.0", "name": "temp/front", "scale": "0.1", "bits": 16})
    assert channel.value(Decimal(65_351)) == Decimal("-18.5")


def test_what_a_terminal_kept_while_out_of_reach_comes_as_many_reports() -> None:
    bodies = [report(moment=f"2603020{hour}2000") for hour in range(3)]
    body = struct.pack(">HB", 3, 1) + b"".join(struct.pack(">H", len(one)) + one for one in bodies)
    uplink = jtt808.read(write_frame(jtt808.LOCATIONS, terminal(), 1, body))
    assert [(one.t_us - T_US) // 3_600_000_000 for one in uplink.reports] == [-5, -4, -3]
    assert uplink.notes == ("buffered",)


@given(st.binary(max_size=600), st.integers(0, 65_535), st.booleans(), st.sampled_from([PHONE, "7", "126125"]))
def test_any_body_comes_through_its_escapes(body: bytes, serial: int, versioned: bool, phone: str) -> None:
    data = write_frame(jtt808.HEARTBEAT, terminal(versioned, phone), serial, body)
    assert b"\x7e" not in data[1:-1]
    assert read_frame(data) == Frame(jtt808.HEARTBEAT, phone, serial, body, True, versioned)


@given(st.binary(max_size=120))
def test_bytes_of_any_kind_are_a_frame_or_a_decode_error(content: bytes) -> None:
    for data in (content, b"\x7e" + content + b"\x7e"):
        with pytest.raises(DecodeError):
            read_frame(data)
            raise DecodeError("it was one")


@given(st.data())
def test_a_report_with_any_bytes_changed_is_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(report((0x51, b"\xff\x47\x00\x01"), (0x06, b"\x80\x12")))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    message = data.draw(st.sampled_from([jtt808.LOCATION, jtt808.LOCATIONS]))
    frame = write_frame(message, terminal(), 1, bytes(body[: data.draw(st.integers(0, len(body)))]))
    try:
        reports = jtt808.read(frame).reports
    except DecodeError:
        return
    assert all(one.t_us >= 0 for one in reports)


def test_one_flipped_bit_is_no_frame() -> None:
    whole = location(report())
    broken = whole[:20] + bytes((whole[20] ^ 1,)) + whole[21:]
    with pytest.raises(DecodeError, match="cancel out"):
        read_frame(broken)


def test_what_is_in_parts_or_encrypted_is_refused_in_words() -> None:
    content = bytearray(read_content(location(report())))
    content[2] |= 0x04
    content[-1] ^= 0x04
    with pytest.raises(DecodeError, match="encrypted"):
        jtt808.read(b"\x7e" + bytes(content) + b"\x7e")


def read_content(frame: bytes) -> bytes:
    """Of a frame that holds neither of the escaped bytes."""
    assert b"\x7d" not in frame
    return frame[1:-1]
