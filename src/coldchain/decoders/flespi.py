"""flespi messages, JSON: one object of `flespi/message/…`, or the array that a stream posts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.vendor_json import flat, identifier, read_json, unix_us
from coldchain.domain.uplinks import Raw, Report, Uplink

_POSITION = {"position.latitude": "lat", "position.longitude": "lon"}
_KMH = Context(prec=12, traps=[])
_NO_READINGS = frozenset({"ident", "timestamp", "server.timestamp", "peer", "message.buffered.status"})


def read(payload: bytes) -> Uplink:
    """One message or several. They have no ids; `timestamp` is the device's own time, however long the message waited
    in its memory (`message.buffered.status`), and the time of receipt never stands in for it. Raises DecodeError."""
    body = read_json(payload)
    messages = body if isinstance(body, list) else [body]
    if not messages or not all(isinstance(message, dict) for message in messages):
        raise DecodeError("expected a flespi message, or a list of them")
    buffered = any(message.get("message.buffered.status") is True for message in messages)
    reports = tuple(
        Report(identifier(message, "ident"), unix_us(message.get("timestamp")), tuple(_readings(message)))
        for message in messages
    )
    return Uplink("", reports, ("buffered",) if buffered else ())


def _readings(message: Mapping[str, Any]) -> Iterator[Raw]:
    for raw in flat({name: value for name, value in message.items() if name not in _NO_READINGS}):
        if raw.name in _POSITION:
            yield raw._replace(name=_POSITION[raw.name], canonical=True)
        elif raw.name == "position.speed" and isinstance(raw.value, Decimal):
            yield Raw("speed", _KMH.divide(raw.value, Decimal("3.6")), "m/s", canonical=True)  # km/h there
        else:
            yield raw
