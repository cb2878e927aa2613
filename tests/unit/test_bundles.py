"""A packed bundle gives back what was put in; a damaged one what is before the damage, and nothing that was made up."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.db import bundles
from coldchain.db.bundles import Unpacked, pack, unpack
from coldchain_ledger.tiles import MAX_ENTRY_BYTES, encode_bundle

MESSAGES = [b'{"key":"tm/truck-%d/1/%d"}\n%s' % (n % 7, n, b"eyJ" * (n % 90)) for n in range(256)]
PACKED = pack(MESSAGES)


@given(st.lists(st.binary(max_size=400), max_size=256))
def test_entries_come_back_byte_for_byte(entries):
    assert unpack(pack(entries)) == entries


def test_the_longest_and_the_shortest_entry_fit():
    entries = [bytes(MAX_ENTRY_BYTES), b"", b"\xff" * MAX_ENTRY_BYTES] * 85 + [b"last"]
    assert unpack(pack(entries)) == entries


@given(st.integers(0, len(PACKED) - 1))
def test_of_a_bundle_cut_off_the_entries_before_the_cut_can_be_read(length):
    found = unpack(PACKED[:length])
    assert found == MESSAGES[: len(found)]


def test_a_cut_costs_the_entries_after_it_alone():
    assert len(unpack(PACKED[: len(PACKED) // 2])) > 50


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_read_as_something_and_raises_nothing(place, change):
    found = unpack(PACKED[:place] + bytes([PACKED[place] ^ change]) + PACKED[place + 1 :])
    assert len(found) <= 256


def test_a_changed_checksum_leaves_the_entries_to_be_judged_by_their_hashes():
    assert unpack(PACKED[:-1] + bytes([PACKED[-1] ^ 1])) == MESSAGES


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(PACKED + b"x", id="bytes after it"),
        pytest.param(PACKED + PACKED, id="twice"),
        pytest.param(zlib.compress(encode_bundle(MESSAGES) + encode_bundle([b"one more"])), id="257 entries"),
        pytest.param(zlib.compress(encode_bundle(MESSAGES) + b"\0"), id="a byte more"),
        pytest.param(zlib.compress(bytes(100_000_000), 1), id="100 MB"),
    ],
)
def test_more_than_a_bundle_is_none(packed):
    assert unpack(packed) == []


def test_the_bundles_looked_into_last_are_read_once(monkeypatch):
    read = []
    stored = {n: pack([b"%04d" % (256 * n + place) for place in range(256)]) for n in range(9)}
    monkeypatch.setattr(bundles, "_KEPT_BYTES", 4 * 4 * 256)
    unpacked = Unpacked(lambda n: read.append(n) or stored.get(n))
    for index in (0, 255, 256, 3, 512, 800, 5, 1_030, 7, 300, 2_000, 9):
        assert unpacked.entry(index) == b"%04d" % index
    assert read == [0, 1, 2, 3, 4, 1, 7]
    assert unpacked.entry(256 * 9) is None
    assert unpacked.entry(-1) is None
