"""The ledger as static files, byte for byte c2sp.org/tlog-tiles (ledger §4), with receipts and blobs. Public."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from coldchain.db.queries_api import NotKnown
from coldchain.services.app_ports import AppPorts
from coldchain_ledger.errors import ProofError
from coldchain_ledger.merkle import HASH_BYTES
from coldchain_ledger.store import Snapshot
from coldchain_ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Level, encode_bundle, parse_tile_path

MAX_INDEX = 2**53 - 1

_SHORT = {"cache-control": "public, max-age=2"}
_FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
"""Tiles, bundles of a given width and blobs never change (ledger §4.4)."""


def router(ports: AppPorts) -> APIRouter:
    """Routes under /log. Every answer is read from one snapshot of the store."""
    routes = APIRouter(tags=["ledger"])

    @routes.get("/log/checkpoint", response_class=Response, responses=_media("text/plain"))
    def checkpoint() -> Response:
        """The newest signed checkpoint (c2sp.org/tlog-checkpoint)."""
        with ports.store.snapshot() as snapshot:
            return _text(_edge_note(snapshot))

    @routes.get("/log/tile/{tile:path}", response_class=Response, responses=_media("application/octet-stream"))
    def tile(tile: Annotated[str, Path(max_length=64, examples=["0/000.p/1", "entries/000.p/1"])]) -> Response:
        """A hash tile `<L>/<N>[.p/<W>]` or an entry bundle `entries/<N>[.p/<W>]`, of exactly the width asked for."""
        try:
            level, n, width = parse_tile_path(f"tile/{tile}")
        except ProofError as error:
            raise NotKnown(str(error)) from error
        with ports.store.snapshot() as snapshot:
            return Response(_tile(snapshot, level, n, width), 200, _FOREVER, "application/octet-stream")

    @routes.get("/log/receipt/{index}", response_class=Response, responses=_media("text/plain"))
    def receipt(index: Annotated[int, Path(ge=0, le=MAX_INDEX)]) -> Response:
        """Proof that the entry is in the tree of the newest checkpoint (c2sp.org/tlog-proof)."""
        with ports.store.snapshot() as snapshot:
            edge = snapshot.edge()
        if edge is None or index >= edge.size:
            raise NotKnown(f"no entry {index}; the log holds {edge.size if edge else 0}")
        return _text(ports.receipt(index))

    @routes.get("/log/blob/{sha256}", response_class=Response, responses=_media("application/octet-stream"))
    def blob(sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]) -> Response:
        """Bytes that an entry names by their SHA-256 (ledger §2.3)."""
        with ports.store.snapshot() as snapshot:
            data = snapshot.blob(bytes.fromhex(sha256))
        if data is None:
            raise NotKnown(f"no blob {sha256}")
        return Response(data, 200, _FOREVER, "application/octet-stream")

    return routes


def _tile(snapshot: Snapshot, level: Level, n: int, width: int) -> bytes:
    """A tile that grew since is cut to the width asked for: clients of an older checkpoint still need it."""
    edge = snapshot.edge()
    size = edge.size if edge else 0
    known = size if level == "entries" else size >> TILE_HEIGHT * level
    first = n * TILE_WIDTH
    if first + width > known:
        raise NotKnown(f"tile {level}/{n} has {max(0, min(TILE_WIDTH, known - first))} items, {width} were asked for")
    if level == "entries":
        return encode_bundle(list(snapshot.entries(first, first + width)))
    return snapshot.tile(level, n)[: width * HASH_BYTES]


def _edge_note(snapshot: Snapshot) -> bytes:
    edge = snapshot.edge()
    if edge is None:
        raise NotKnown("this log was not created yet")
    return edge.note


def _text(data: bytes) -> Response:
    return Response(data, 200, _SHORT, "text/plain; charset=utf-8")


def _media(media_type: str) -> dict[int | str, dict[str, object]]:
    schema = {"type": "string"} if media_type == "text/plain" else {"type": "string", "format": "binary"}
    return {200: {"content": {media_type: {"schema": schema}}}}
