"""A fleet of signing trucks and what it will say, signed beforehand by several processes and kept in files.

Each truck reports once a minute: four probes every 15 s, humidity, door and position, 20 readings in all. Its clock
starts at the time of signing and runs ahead with its reports, at most an hour or so: a server judges silence by the
newest time it has recorded, so reports of the past would be judged as a backlog, and reports a day ahead disbelieved.
Two in a hundred trucks are warm for half an hour, one report in fifty says that the door is open, nine trucks in ten
drive, at some 80 km/h.
"""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from base64 import b64encode, urlsafe_b64encode
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

READINGS = 20
ORG = "bench"
PROBES = ("front", "middle", "rear", "return")
PERIOD_S = 60


@dataclass(frozen=True)
class Fleet:
    """`trucks` devices behind `gateways` broker accounts, which divide them evenly; truck n is of site n % gateways."""

    trucks: int
    gateways: int
    messages: int
    """In all; message i is of truck i % trucks, so of gateway i % gateways."""
    seed: bytes

    def __post_init__(self) -> None:
        assert self.trucks % self.gateways == 0, f"{self.trucks} trucks for {self.gateways} gateways"

    def key(self, truck: int) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self.seed + b"%d" % truck).digest())

    def site(self, gateway: int) -> str:
        return f"site-{gateway}"

    def name(self, truck: int) -> str:
        return f"truck-{truck:05}"

    def public_key(self, truck: int) -> str:
        """base64 SPKI DER."""
        der = self.key(truck).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(der).decode()


@dataclass(frozen=True)
class Script:
    """What one gateway will publish: whole MQTT packets one after the other, and where each starts."""

    path: Path

    def write(self, packets: list[bytes]) -> None:
        self.path.write_bytes(b"".join(packets))
        starts = array("Q", [0])
        for packet in packets:
            starts.append(starts[-1] + len(packet))
        self.path.with_suffix(".starts").write_bytes(starts.tobytes())

    def read(self) -> tuple[bytes, array[int]]:
        starts: array[int] = array("Q")
        starts.frombytes(self.path.with_suffix(".starts").read_bytes())
        return self.path.read_bytes(), starts


def sign_all(fleet: Fleet, directory: Path) -> list[Script]:
    """One script for each gateway, in its order of sending."""
    now_s = int(time.time())
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(_sign, fleet, gateway, now_s, directory / f"gateway-{gateway}.mqtt")
            for gateway in range(fleet.gateways)
        ]
        return [job.result() for job in jobs]


def _sign(fleet: Fleet, gateway: int, now_s: int, path: Path) -> Script:
    trucks = range(gateway, fleet.trucks, fleet.gateways)
    keys = {truck: fleet.key(truck) for truck in trucks}
    before = dict.fromkeys(trucks, b"")
    packets = []
    for seq in range(-(-fleet.messages // fleet.trucks)):
        for truck in trucks:
            if seq * fleet.trucks + truck >= fleet.messages:
                break
            jws = _jws(keys[truck], fleet.name(truck), seq, before[truck], _senml(truck, seq, now_s + seq * PERIOD_S))
            before[truck] = hashlib.sha256(jws).digest()
            topic = f"cc/v1/{ORG}/{fleet.site(gateway)}/{fleet.name(truck)}/up"
            packets.append(publish(topic, len(packets) % 65_535 + 1, jws))
    script = Script(path)
    script.write(packets)
    return script


def _jws(key: Ed25519PrivateKey, device: str, seq: int, prev: bytes, body: bytes) -> bytes:
    header = {"alg": "EdDSA", "kid": f"{device}#1", "typ": "senml+json", "boot": 1, "seq": seq, "prev": _b64(prev)}
    signing_input = f"{_b64(json.dumps(header, separators=(',', ':')).encode())}.{_b64(body)}".encode()
    return signing_input + b"." + _b64(key.sign(signing_input)).encode()


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _senml(truck: int, seq: int, t: int) -> bytes:
    warm = truck % 50 == 0 and 10 <= seq < 40
    base = -12.0 if warm else -21.0
    records = [
        f'{{"n":"temp/{probe}","t":{back},"v":{base + (truck * 7 + seq * 3 + back + place * 11) % 40 / 20:.2f}}}'
        for place, probe in enumerate(PROBES)
        for back in (-45, -30, -15, 0)
    ]
    moved = 0 if truck % 10 == 0 else seq * 1.3 / 111
    is_open = "true" if (truck + seq) % 50 == 0 else "false"
    records += [
        f'{{"n":"rh/box","u":"%RH","v":{60 + (truck + seq) % 20}}}',
        f'{{"n":"door/rear","vb":{is_open}}}',
        f'{{"n":"lat","u":"lat","v":{31 + truck % 100 / 50 + moved:.4f}}}',
        f'{{"n":"lon","u":"lon","v":{121 + truck % 90 / 50:.4f}}}',
    ]
    assert len(records) == READINGS
    return f'[{{"bt":{t},"bu":"Cel",{records[0][1:]},{",".join(records[1:])}]'.encode()


def publish(topic: str, packet_id: int, payload: bytes) -> bytes:
    """An MQTT 3.1.1 PUBLISH at QoS 1 (clause 3.3)."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + packet_id.to_bytes(2, "big") + payload
    length, left = bytearray(), len(body)
    while True:
        left, digit = left >> 7, left & 0x7F
        length.append(digit | 0x80 if left else digit)
        if not left:
            return b"\x32" + bytes(length) + body
