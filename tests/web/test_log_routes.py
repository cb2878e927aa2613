"""The ledger read by a client that shares no code with it: hashlib, `cryptography` and the C2SP specifications."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from web.story import Told


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def root_of(hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1, as it is written there."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\x01" + root_of(hashes[:split]) + root_of(hashes[split:])).digest()


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes


def open_checkpoint(note: bytes, vkey: str) -> Checkpoint:
    """Signature checked against the verifier key text, by the C2SP signed-note specification."""
    name, key_id, key = vkey.split("+", 2)
    public = base64.b64decode(key)
    assert public[0] == 1, "Ed25519"
    assert hashlib.sha256(name.encode() + b"\n" + public).digest()[:4].hex() == key_id
    text, _, signatures = note.rpartition(b"\n\n")
    text += b"\n"
    (line,) = (line for line in signatures.decode().splitlines() if line.startswith(f"— {name} "))
    signature = base64.b64decode(line.split(" ")[2])
    assert signature[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature[4:], text)
    origin, size, root = text.decode().splitlines()
    assert origin == name
    return Checkpoint(origin, int(size), base64.b64decode(root))


def parse_bundle(data: bytes) -> list[bytes]:
    entries = []
    while data:
        (length,) = struct.unpack(">H", data[:2])
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    return entries


def fetch(client: httpx.Client, path: str) -> bytes:
    response = client.get(path)
    assert response.status_code == 200, (path, response.text)
    return response.content


@pytest.fixture
def checkpoint(client: httpx.Client, told: Told) -> Checkpoint:
    return open_checkpoint(fetch(client, "/log/checkpoint"), told.core.log.vkey)


@pytest.fixture
def entries(client: httpx.Client, checkpoint: Checkpoint) -> list[bytes]:
    """Every entry of the checkpoint's tree, from bundles alone."""
    found: list[bytes] = []
    for n in range(checkpoint.size // 256):
        found += parse_bundle(fetch(client, f"/log/tile/entries/{n:03d}"))
    if checkpoint.size % 256:
        rest = f"/log/tile/entries/{checkpoint.size // 256:03d}.p/{checkpoint.size % 256}"
        found += parse_bundle(fetch(client, rest))
    return found


def test_bundles_hash_to_the_signed_root(entries: list[bytes], checkpoint: Checkpoint) -> None:
    assert checkpoint.size > 256, "the story fills a bundle"
    assert len(entries) == checkpoint.size
    assert root_of([leaf_hash(entry) for entry in entries]) == checkpoint.root


def test_hash_tiles_hold_what_the_entries_hash_to(
    client: httpx.Client, entries: list[bytes], checkpoint: Checkpoint
) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    assert fetch(client, "/log/tile/0/000") == b"".join(leaves[:256])
    width = checkpoint.size - 256
    assert fetch(client, f"/log/tile/0/001.p/{width}") == b"".join(leaves[256:])
    assert fetch(client, "/log/tile/1/000.p/1") == root_of(leaves[:256])


@pytest.mark.parametrize("width", [1, 17, 255])
def test_a_partial_tile_stays_served_when_it_has_grown(client: httpx.Client, width: int) -> None:
    assert fetch(client, f"/log/tile/0/000.p/{width}") == fetch(client, "/log/tile/0/000")[: width * 32]
    partial = parse_bundle(fetch(client, f"/log/tile/entries/000.p/{width}"))
    assert partial == parse_bundle(fetch(client, "/log/tile/entries/000"))[:width]


@pytest.mark.parametrize(
    "path",
    [
        "0/001",
        "0/002.p/1",
        "1/000",
        "1/000.p/2",
        "2/000.p/1",
        "63/000",
        "entries/001",
        "entries/001.p/200",
        "entries/x001/000",
    ],
)
def test_what_the_tree_does_not_have_yet_is_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(f"/log/tile/{path}").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["0/0", "0/0000", "00/000", "64/000", "-1/000", "0/000.p/0", "0/000.p/256", "0/000.p/01", "x/000", "0/x000/000/"],
)
def test_a_path_of_another_grammar_is_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(f"/log/tile/{path}").status_code == 404


def test_tiles_may_be_kept_for_ever_and_the_checkpoint_may_not(client: httpx.Client) -> None:
    tile, checkpoint = client.get("/log/tile/0/000"), client.get("/log/checkpoint")
    assert "immutable" in tile.headers["cache-control"]
    assert tile.headers["content-type"] == "application/octet-stream"
    assert checkpoint.headers["cache-control"] == "public, max-age=2"
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("index", [0, 1, 255, 256, 300])
def test_a_receipt_proves_its_entry_to_a_stranger(
    client: httpx.Client, entries: list[bytes], told: Told, index: int
) -> None:
    receipt = fetch(client, f"/log/receipt/{index}")
    head, _, note = receipt.partition(b"\n\n")
    magic, said, *proof = head.decode().splitlines()
    assert (magic, said) == ("c2sp.org/tlog-proof@v1", f"index {index}")
    checkpoint = open_checkpoint(note, told.core.log.vkey)
    node, place, last = leaf_hash(entries[index]), index, checkpoint.size - 1
    for sibling in map(base64.b64decode, proof):  # RFC 9162 §2.1.3.2
        if place % 2 or place == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while place and not place % 2:
                place, last = place >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        place, last = place >> 1, last >> 1
    assert (node, last) == (checkpoint.root, 0)


def test_there_is_no_receipt_for_the_future(client: httpx.Client, checkpoint: Checkpoint) -> None:
    assert client.get(f"/log/receipt/{checkpoint.size}").status_code == 404


def test_a_subject_list_too_long_for_its_entry_is_served_by_its_hash(
    client: httpx.Client, entries: list[bytes]
) -> None:
    headers = (json.loads(entry.partition(b"\n")[0]) for entry in entries)
    (stated,) = (header["subjects"] for header in headers if isinstance(header["subjects"], dict))
    blob = fetch(client, f"/log/blob/{stated['sha256']}")
    assert hashlib.sha256(blob).hexdigest() == stated["sha256"]
    assert len(blob.splitlines()) == stated["n"]
    assert client.get(f"/log/blob/{'0' * 64}").status_code == 404
