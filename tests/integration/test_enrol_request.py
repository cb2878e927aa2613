"""An enrolment request proves that who asks holds the key."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from click.testing import CliRunner

from coldchain.bootstrap.core import open_core
from coldchain.bootstrap.enrol import read_request
from coldchain.cli import group
from coldchain.services.identity import CommandRefused
from coldchain.settings import load_settings
from coldchain_devices.signer import DeviceKey, b64url


def request(key: DeviceKey, signer: DeviceKey, device: str = "truck-7", typ: str = "enrol+json") -> bytes:
    header = {"alg": signer.alg, "kid": f"{device}#1", "typ": typ, "boot": 1, "seq": 0, "prev": ""}
    body = {"device": device, "public_key": b64encode(key.public_spki()).decode()}
    part = f"{b64url(json.dumps(header).encode())}.{b64url(json.dumps(body).encode())}".encode()
    return part + b"." + b64url(signer.sign(part)).encode()


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
def test_a_request_signed_by_its_own_key_gives_that_key(tmp_path: Path, alg: str) -> None:
    key = DeviceKey.generate(alg)  # type: ignore[arg-type]
    (tmp_path / "r").write_bytes(request(key, key) + b"\n")
    assert read_request(tmp_path / "r", "truck-7") == (alg, b64encode(key.public_spki()).decode())


def test_a_device_that_proves_possession_is_enrolled_with_its_key(tmp_path: Path) -> None:
    key = DeviceKey.generate()
    (tmp_path / "r").write_bytes(request(key, key))
    words = ["device", "enrol", "--dir", tmp_path / "d", "--org", "o", "--site", "s", "--id", "truck-7", "--json"]
    done = CliRunner().invoke(group, [*map(str, words), "--request", str(tmp_path / "r")])
    assert (done.exit_code, json.loads(done.stdout)["kid"]) == (0, "truck-7#1")
    with open_core(load_settings(dir=tmp_path / "d")) as core:
        (known,) = core.registry.keys_of("truck-7")
    assert known.stated["public_key"] == b64encode(key.public_spki()).decode()


def test_a_request_for_somebody_elses_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(request(DeviceKey.generate(), DeviceKey.generate()))
    with pytest.raises(CommandRefused, match="does not prove possession"):
        read_request(tmp_path / "r", "truck-7")


def test_an_ordinary_message_is_no_request(tmp_path: Path) -> None:
    key = DeviceKey.generate()
    (tmp_path / "r").write_bytes(request(key, key, typ="senml+json"))
    with pytest.raises(CommandRefused, match="does not prove possession"):
        read_request(tmp_path / "r", "truck-7")


@pytest.mark.parametrize("content", [b"", b"{}", b"a.b.c"])
def test_anything_else_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(CommandRefused, match="not an enrolment request"):
        read_request(tmp_path / "r", "truck-7")


def test_a_request_names_the_device_the_command_names(tmp_path: Path) -> None:
    key = DeviceKey.generate()
    (tmp_path / "r").write_bytes(request(key, key, device="truck-8"))
    with pytest.raises(CommandRefused, match="truck-8"):
        read_request(tmp_path / "r", "truck-7")
