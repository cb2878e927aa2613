"""ChirpStack v4, JSON of its integrations: `application/…/device/…/event/up`, and its other events, which measure
nothing."""

from __future__ import annotations

from coldchain.decoders.vendor_json import flat, identifier, member, moment_us, optional_identifier, read_object
from coldchain.domain.uplinks import Report, Uplink


def read(payload: bytes) -> Uplink:
    """One event. Its source is the devEui, its id devEui and deduplicationId: gateways in reach of one another hear one
    frame, and ChirpStack makes it one event. Readings are `object`, what the device profile's codec made of the frame;
    without a codec there are none. Raises DecodeError."""
    event = read_object(payload)
    eui = identifier(member(event, "deviceInfo"), "devEui").lower()
    unique = optional_identifier(event, "deduplicationId")
    decoded = event.get("object")
    readings = tuple(flat(decoded)) if isinstance(decoded, dict) else ()
    notes = () if readings else ("undecoded",)
    return Uplink(f"{eui}/{unique}" if unique else "", (Report(eui, moment_us(event.get("time")), readings),), notes)
