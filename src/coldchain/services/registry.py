"""Who may speak: the keys and parties that `identity` entries name, held in memory for the way in and for commands."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from coldchain.domain.mappings import Gateway, MapError, Sources, read_gateway, read_map
from coldchain.domain.parties import OPS, Directory, PartyError, read_registration
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.store import Snapshot

LoadKey = Callable[[str, str], Any]
"""(algorithm, base64 SPKI) -> a public key object the verifier takes."""


@dataclass(frozen=True, slots=True)
class Key:
    """One enrolled device key. `revoked_at` is the ledger index of its revocation, or None."""

    kid: str
    device: str
    org: str
    site: str
    alg: str
    grade: str
    public_key: Any
    stated: Mapping[str, Any] = field(default_factory=dict)
    """The whole enrolment as recorded."""
    revoked_at: int | None = None

    @property
    def topic_base(self) -> str:
        return f"cc/v1/{self.org}/{self.site}/{self.device}"


class Registry:
    """A fold over `identity` entries (design §6): keys, gateways, in `directory` the parties and in `sources` what is
    behind the gateways. `next_index` is the first entry it has not seen."""

    def __init__(self, load_key: LoadKey, keys: Iterable[Key] = (), next_index: int = 0) -> None:
        self._load_key = load_key
        self._lock = threading.Lock()
        """Admission at two doors at once, and commands over HTTP, catch up from threads of their own."""
        self._keys = {key.kid: key for key in keys}
        self._gateways: dict[str, Gateway] = {}
        self.directory = Directory()
        self.sources = Sources()
        self.stated_maps: dict[str, Mapping[str, Any]] = {}
        """Versions of mappings as recorded, by their keys."""
        self.next_index = next_index

    def key(self, kid: str) -> Key | None:
        return self._keys.get(kid)

    def keys_of(self, device: str) -> list[Key]:
        """Every key the device ever had, oldest first."""
        return [key for key in self._keys.values() if key.device == device]

    def latest(self, device: str) -> Key | None:
        """The key enrolled last, revoked or not."""
        return next(reversed(self.keys_of(device)), None)

    def all(self) -> list[Key]:
        return list(self._keys.values())

    def gateway(self, device: str) -> Gateway | None:
        """The newest version of it, closed or not."""
        return self._gateways.get(device)

    def gateways(self) -> list[Gateway]:
        return list(self._gateways.values())

    def catch_up(self, snapshot: Snapshot) -> None:
        """Fold what any process appended since: afterwards every committed enrolment is known."""
        edge = snapshot.edge()
        with self._lock:
            if edge is None or edge.size <= self.next_index:
                return
            for index, data in enumerate(snapshot.entries(self.next_index, edge.size), self.next_index):
                if b'"kind":"identity"' in data[:4096]:
                    self._fold(index, data)
            self.next_index = edge.size

    def skip(self, first: int, count: int) -> None:
        """Entries first..first+count-1 are our own and hold no identity: no need to read them back."""
        with self._lock:
            if first == self.next_index:
                self.next_index = first + count

    def _fold(self, index: int, data: bytes) -> None:
        entry = parse_entry(data)
        if entry.kind != "identity":
            return
        body = json.loads(entry.payload)
        if body["op"] in OPS:
            with suppress(PartyError):  # an entry it stays; it registers nothing
                self.directory.add(read_registration(body))
        elif body["op"] in ("gateway", "mapping"):
            with suppress(MapError):
                self._fold_transport(body)
        elif body["op"] == "revoke":
            known = self._keys.get(body["kid"])
            if known is not None:
                self._keys[known.kid] = replace(known, revoked_at=index)
        elif body["op"] in ("enrol", "rotate"):
            self._keys[body["kid"]] = Key(
                kid=body["kid"],
                device=body["device"],
                org=body["org"],
                site=body["site"],
                alg=body["alg"],
                grade=body["grade"],
                public_key=self._load_key(body["alg"], body["public_key"]),
                stated=body,
            )

    def _fold_transport(self, body: Mapping[str, Any]) -> None:
        if body["op"] == "gateway":
            gateway = read_gateway(body)
            self._gateways[gateway.device] = gateway
        elif self.sources.add(version := read_map(body)):
            self.stated_maps[version.key] = body
