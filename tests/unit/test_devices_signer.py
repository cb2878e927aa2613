"""Keys, the signed chain, and the outbox that makes it survive."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, OKPKey

from coldchain_devices.errors import ChainMoved, DeviceError, KeyFileError, MessageTooLarge
from coldchain_devices.outbox import Outbox
from coldchain_devices.signer import MAX_MESSAGE, Alg, Chain, DeviceKey, Signed, Signer, b64url, seal
from exploring import examples

BODY = b'[{"bt":1772409600,"n":"temp/box","u":"Cel","v":-20.1}]'


def header(jws: bytes) -> dict[str, object]:
    part = jws.split(b".")[0]
    return dict(json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))))


def places(outbox: Outbox, device: str = "d") -> list[tuple[int, int]]:
    return outbox.pending(device, 1_000_000)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db", synchronous="OFF")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 renames it; telemetry §2 says EdDSA
@pytest.mark.parametrize(("alg", "key_type"), [("EdDSA", OKPKey), ("ES256", ECKey)])
def test_another_jose_library_verifies_our_signature(alg: Alg, key_type: type[OKPKey] | type[ECKey]) -> None:
    key = DeviceKey.generate(alg)
    message, _ = seal(key, "d#1", Chain(3, 7, b"\x01" * 32), BODY, "senml+json")
    public = load_der_public_key(key.public_spki())
    assert isinstance(public, (ed25519.Ed25519PublicKey, ec.EllipticCurvePublicKey))
    registry = joserfc_jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    opened = joserfc_jws.deserialize_compact(message.jws, key_type.import_key(public), registry=registry)
    assert opened.payload == BODY
    assert opened.protected == {
        "alg": alg,
        "kid": "d#1",
        "typ": "senml+json",
        "boot": 3,
        "seq": 7,
        "prev": b64url(b"\x01" * 32),
    }


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
def test_one_seed_makes_one_key_and_the_same_bytes(alg: Alg) -> None:
    one, same, other = (DeviceKey.derive(seed, alg) for seed in (b"1/d", b"1/d", b"2/d"))
    assert one.public_spki() == same.public_spki() != other.public_spki()
    start = Chain(1, 0, b"")
    assert seal(one, "d#1", start, BODY, "senml+json") == seal(same, "d#1", start, BODY, "senml+json")


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
def test_a_key_file_is_private_and_never_overwritten(alg: Alg, tmp_path: Path) -> None:
    path = tmp_path / "d.pem"
    key = DeviceKey.load_or_create(path, alg)
    assert path.stat().st_mode & 0o777 == 0o600
    assert DeviceKey.load_or_create(path).public_spki() == key.public_spki()
    with pytest.raises(KeyFileError, match="cannot write"):
        DeviceKey.generate().save(path)
    assert DeviceKey.load(path).public_spki() == key.public_spki()


def test_a_key_we_cannot_sign_with_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.pem"
    path.write_bytes(
        x25519.X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with pytest.raises(KeyFileError, match="X25519PrivateKey"):
        DeviceKey.load(path)
    path.write_text("not a key")
    with pytest.raises(KeyFileError, match="no usable private key"):
        DeviceKey.load(path)


def test_what_is_signed_is_on_disk_before_anyone_sees_it(tmp_path: Path) -> None:
    """A power cut must not let a number be signed twice."""
    outbox = Outbox(tmp_path / "outbox.db")
    settings = [outbox._rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


def test_every_message_names_the_one_before_across_boots(outbox: Outbox) -> None:
    key = DeviceKey.generate()
    first_start = Signer(outbox, "d", "d#1", key)
    sent = [first_start.sign(BODY), *first_start.sign_many([(BODY, "senml+json"), (b"{}", "epcis+json")])]
    sent += Signer(outbox, "d", "d#1", key).sign_many([(BODY, "senml+json")] * 2)
    assert [(m.boot, m.seq) for m in sent] == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]
    before = [b"", *(hashlib.sha256(m.jws).digest() for m in sent)]
    assert [header(m.jws)["prev"] for m in sent] == [b64url(prev) for prev in before[:-1]]


def test_a_message_over_48_kib_spends_no_number(outbox: Outbox) -> None:
    signer = Signer(outbox, "d", "d#1", DeviceKey.generate())
    with pytest.raises(MessageTooLarge, match=str(MAX_MESSAGE)):
        signer.sign_many([(BODY, "senml+json"), (b"x" * MAX_MESSAGE, "senml+json")])
    assert places(outbox) == []
    assert signer.sign(BODY).seq == 0


def test_an_unknown_type_is_refused(outbox: Outbox) -> None:
    with pytest.raises(DeviceError, match="text/plain"):
        Signer(outbox, "d", "d#1", DeviceKey.generate()).sign(BODY, "text/plain")


def test_a_signer_that_was_started_over_elsewhere_stops(outbox: Outbox, tmp_path: Path) -> None:
    key = DeviceKey.generate()
    old = Signer(outbox, "d", "d#1", key)
    new = Signer(Outbox(tmp_path / "outbox.db", synchronous="OFF"), "d", "d#1", key)
    with pytest.raises(ChainMoved, match="boot 2, this signer at 1"):
        old.sign(BODY)
    assert new.sign(BODY).boot == 2


def test_two_writers_at_one_place_cannot_both_win(outbox: Outbox) -> None:
    start = outbox.begin_boot("d")
    message, after = seal(DeviceKey.generate(), "d#1", start, BODY, "senml+json")
    outbox.put("d", start, after, [message])
    with pytest.raises(ChainMoved, match="seq 0"):
        outbox.put("d", start, after, [message])
    assert places(outbox) == [(1, 0)]


CHILD = """
import sys
from pathlib import Path
from coldchain_devices.outbox import Outbox
from coldchain_devices.signer import DeviceKey, Signer
signer = Signer(Outbox(Path(sys.argv[1])), "d", "d#1", DeviceKey.derive(b"d"))
while True:
    for message in signer.sign_many([(b"[]", "senml+json")] * 3):
        print(message.boot, message.seq, message.jws.decode(), flush=True)
"""


def test_a_device_killed_at_any_moment_never_signs_a_number_twice(tmp_path: Path) -> None:
    told: dict[tuple[int, int], bytes] = {}
    for lines in (1, 20, 61):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "o.db")], stdout=subprocess.PIPE)
        assert child.stdout is not None
        for _ in range(lines):
            boot, seq, jws = child.stdout.readline().split()
            assert (int(boot), int(seq)) not in told
            told[int(boot), int(seq)] = jws
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    outbox = Outbox(tmp_path / "o.db")
    kept = {place: outbox.load("d", place) for place in places(outbox)}
    assert told.items() <= {place: stored.jws for place, stored in kept.items() if stored}.items()
    prev = b""
    for boot in (1, 2, 3):
        mine = [place for place in kept if place[0] == boot]
        assert mine == [(boot, seq) for seq in range(len(mine))]
        for place in mine:
            stored = kept[place]
            assert stored is not None
            assert header(stored.jws)["prev"] == b64url(prev)
            prev = hashlib.sha256(stored.jws).digest()
    assert outbox.chain("d") == Chain(3, len(mine), prev)


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.sampled_from(["sign", "batch", "ack", "nack", "restart", "requeue"]), max_size=25), st.data())
def test_whatever_happens_the_outbox_holds_what_is_signed_and_unanswered(steps: list[str], data: st.DataObject) -> None:
    key = DeviceKey.derive(b"d")
    waiting: dict[tuple[int, int], Signed] = {}
    parked: dict[tuple[int, int], Signed] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "o.db"
        outbox = Outbox(path, synchronous="OFF")
        signer = Signer(outbox, "d", "d#1", key)
        for step in steps:
            if step in ("sign", "batch"):
                messages = signer.sign_many([(BODY, "senml+json")] * (1 if step == "sign" else 3))
                waiting |= {(m.boot, m.seq): m for m in messages}
            elif step in ("ack", "nack") and waiting:
                place = data.draw(st.sampled_from(sorted(waiting)))
                if step == "ack":
                    outbox.forget("d", [place])
                else:
                    assert outbox.park("d", hashlib.sha256(waiting[place].jws).digest(), "why") == place
                    parked[place] = waiting[place]
                del waiting[place]
            elif step == "requeue":
                assert outbox.requeue("d") == len(parked)
                waiting, parked = waiting | parked, {}
            elif step == "restart":
                outbox.close()
                outbox = Outbox(path, synchronous="OFF")
                signer = Signer(outbox, "d", "d#1", key)
        assert places(outbox) == sorted(waiting)
        assert outbox.count("d") == len(waiting)
        assert [(m.boot, m.seq, m.jws) for m in outbox.parked("d")] == [(*p, parked[p].jws) for p in sorted(parked)]
        assert all(stored and stored.jws == m.jws for p, m in waiting.items() if (stored := outbox.load("d", p)) or 1)
        outbox.close()
