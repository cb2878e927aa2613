"""The Things Stack v3, JSON of its integrations: `v3/…/devices/…/up`, and its other messages, which measure nothing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from coldchain.decoders.vendor_json import (
    flat,
    identifier,
    member,
    moment_us,
    optional_identifier,
    raw_value,
    read_object,
)
from coldchain.domain.uplinks import Raw, Report, Uplink


def read(payload: bytes) -> Uplink:
    """One message. Its source is the device_id; its id the session key and frame counter, which LoRaWAN lets pass once.

    Empty fields are left out by the sender: a missing f_cnt is 0. What somebody simulated in the console was never
    measured. Raises DecodeError.
    """
    message = read_object(payload)
    device = identifier(member(message, "end_device_ids"), "device_id")
    uplink = message.get("uplink_message")
    if not isinstance(uplink, dict):
        return Uplink("", (Report(device, moment_us(message.get("received_at")), ()),), ("undecoded",))
    t_us = moment_us(uplink.get("received_at")) or moment_us(message.get("received_at"))
    if message.get("simulated") is True:
        return Uplink(_frame(device, uplink), (Report(device, t_us, ()),), ("simulated",))
    decoded = uplink.get("decoded_payload")
    readings = tuple(flat(decoded)) if isinstance(decoded, dict) else ()
    notes = () if readings else ("undecoded",)
    return Uplink(_frame(device, uplink), (Report(device, t_us, (*readings, *_position(uplink))),), notes)


def _frame(device: str, uplink: Mapping[str, Any]) -> str:
    session, counter = optional_identifier(uplink, "session_key_id"), uplink.get("f_cnt", Decimal(0))
    if not session or not isinstance(counter, Decimal) or not 0 <= counter < 2**32:
        return ""
    return f"{device}/{session}/{int(counter)}"


def _position(uplink: Mapping[str, Any]) -> list[Raw]:
    """What the frame itself says of where it was sent; positions that users or servers state are none of its own."""
    locations = uplink.get("locations")
    own = locations.get("frm-payload") if isinstance(locations, dict) else None
    if not isinstance(own, dict):
        return []
    fields = {"lat": own.get("latitude", Decimal(0)), "lon": own.get("longitude", Decimal(0))}
    return [Raw(name, raw_value(value), canonical=True) for name, value in fields.items()]
