"""Messages read in processes beside the server: the same as read here, whatever becomes of a reader."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldchain.decoders.content import Content
from coldchain.decoders.jws import load_key
from coldchain.decoders.readers import LEAST, Claims, Readers, Reading
from coldchain.services.registry import Key
from coldchain_devices.outbox import Outbox
from coldchain_devices.signer import DeviceKey, Signer

T = 1_760_000_000


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Claims:
    return make_claims(tmp_path_factory.mktemp("outbox"))


def make_claims(folder: Path) -> list[tuple[bytes, Key]]:
    """Messages of two keys, one of each algorithm; one with the signature of another, one malformed behind its header,
    one of another type."""
    outbox = Outbox(folder / "outbox.db", synchronous="OFF")
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
        found += [(one.jws, enrolled) for one in signed]
    said, signature = (found[place][0].rpartition(b".") for place in (7, 8))
    found[7] = (b".".join((said[0], signature[2])), found[7][1])
    found[9] = (found[9][0] + b"=", found[9][1])
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
    assert contents[9] == "JWS signature: base64url of 87 characters does not end on a byte"
    assert [place for place, content in enumerate(contents) if content and content[2] == b"{}"] == [4, 4 + LEAST]
    assert contents[3][-1].telemetry.quality == ("invalid-senml",)


def test_a_reader_that_is_killed_costs_no_message(readers: Readers, claims: Claims) -> None:
    expected = read(Readers(), claims)
    for _ in range(2):
        (victim, *_) = children()
        os.kill(victim, signal.SIGKILL)
        assert read(readers, claims) == expected
        assert len(children()) == 2, "others were started"
    assert read(readers, claims) == expected


def test_readings_asked_of_a_killed_reader_do_not_cost_those_asked_since_theirs(
    readers: Readers, claims: Claims
) -> None:
    """A batch is begun while the one before it is being recorded: some were asked before others start, some after."""
    expected = read(Readers(), claims)
    before = [readers.begin(claims) for _ in range(3)]
    for victim in children():
        os.kill(victim, signal.SIGKILL)
    assert finished(readers, before[0]) == expected
    again = children()
    after = readers.begin(claims)
    for reading in (*before[1:], after):
        assert finished(readers, reading) == expected
    assert children() == again, "started again once, not for each reading"
    assert after.asked_of == before[0].asked_of + 1


def test_a_server_killed_under_load_leaves_no_reader_and_no_word_of_it(tmp_path: Path) -> None:
    """What a reader was about to answer has nobody to go to; that is no error, and stderr is the operator's."""
    program = """
        import sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from integration.test_readers import make_claims
        from coldchain.decoders.readers import Readers
        readers = Readers()
        with readers.running(2):
            claims = make_claims(Path(sys.argv[2])) * 20
            readers.finish(readers.begin(claims))
            print("reading", flush=True)
            waiting = []
            while True:
                waiting.append(readers.begin(claims))
                if len(waiting) > 1:
                    readers.finish(waiting.pop(0))
    """
    for delay_s in (0, 0.01, 0.05, 0.1):
        with (tmp_path / "stderr").open("wb") as stderr:
            command = [sys.executable, "-c", textwrap.dedent(program), str(Path(__file__).parents[1]), str(tmp_path)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as server:
                assert server.stdout is not None
                assert server.stdout.readline() == b"reading\n"
                mine = children(server.pid)
                assert len(mine) == 2
                time.sleep(delay_s)
                server.kill()
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{reader}").exists() for reader in mine) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not any(Path(f"/proc/{reader}").exists() for reader in mine)
        assert (tmp_path / "stderr").read_text() == ""


def test_readers_end_with_the_server(claims: Claims) -> None:
    readers = Readers()
    with readers.running(3):
        assert len(children()) == 3
    assert children() == []
    assert len(read(readers, claims)) == len(claims)


def read(readers: Readers, claims: Claims) -> list[Any]:
    return finished(readers, readers.begin(claims))


def finished(readers: Readers, reading: Reading) -> list[Any]:
    """What was found, samples unpacked."""
    found = readers.finish(reading)
    return [(*one[:-1], one.said()) if isinstance(one, Content) else one for one in found]


def children(of: int | None = None) -> list[int]:
    """Readers this process, or another one, has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == (of or os.getpid()) and b"coldchain.decoders.readers" in command:
            found.append(int(entry.name))
    return sorted(found)
