"""Messages read in processes beside the server: the same as read here, whatever becomes of a reader."""

from __future__ import annotations

import json
import os
import signal
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from coldchain.decoders.content import Content
from coldchain.decoders.jws import load_key, parse_envelope
from coldchain.decoders.readers import LEAST, Claims, Readers
from coldchain.services.registry import Key
from coldchain_devices.outbox import Outbox
from coldchain_devices.signer import DeviceKey, Signer

T = 1_760_000_000


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Claims:
    """Messages of two keys, one of each algorithm; some whose signature is another message's, one of another type."""
    outbox = Outbox(tmp_path_factory.mktemp("outbox") / "outbox.db", synchronous="OFF")
    found = []
    for alg in ("EdDSA", "ES256"):
        key = DeviceKey.generate(alg)
        public = b64encode(key.public_spki()).decode()
        enrolled = Key(f"{alg}#1", alg, "acme", "s", alg, "signed", load_key(alg, public), {"public_key": public})
        bodies = [
            (
                json.dumps([{"n": "temp/a", "bt": T + i, "v": -18.5}, {"n": "door/1", "vb": i % 2 == 0}]).encode(),
                "senml+json",
            )
            for i in range(LEAST)
        ]
        bodies[3] = (b"no senml", "senml+json")
        bodies[4] = (b"{}", "epcis+json")
        signed = Signer(outbox, alg, f"{alg}#1", key).sign_many(bodies)
        found += [(parse_envelope(one.jws), enrolled) for one in signed]
    found[7] = (msgspec.structs.replace(found[7][0], signature=found[8][0].signature), found[7][1])
    outbox.close()
    return found


@pytest.fixture
def readers() -> Iterator[Readers]:
    readers = Readers()
    with readers.running(2):
        yield readers


def test_readers_say_what_the_server_would(readers: Readers, claims: Claims) -> None:
    contents = read(readers, claims)
    assert contents == read(Readers(), claims)
    assert [place for place, content in enumerate(contents) if content is None] == [7]
    assert contents[3] is not None
    assert contents[3].telemetry is not None
    assert contents[3].telemetry.quality == ("invalid-senml",)


def test_a_reader_that_is_killed_costs_no_message(readers: Readers, claims: Claims) -> None:
    expected = read(Readers(), claims)
    for _ in range(2):
        (victim, *_) = children()
        os.kill(victim, signal.SIGKILL)
        assert read(readers, claims) == expected
        assert len(children()) == 2, "others were started"
    assert read(readers, claims) == expected


def test_readers_end_with_the_server(claims: Claims) -> None:
    readers = Readers()
    with readers.running(3):
        assert len(children()) == 3
    assert children() == []
    assert len(read(readers, claims)) == len(claims)


def read(readers: Readers, claims: Claims) -> list[Content | None]:
    return readers.finish(readers.begin(claims))


def children() -> list[int]:
    """Readers this process has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and b"coldchain.decoders.readers" in command:
            found.append(int(entry.name))
    return sorted(found)
