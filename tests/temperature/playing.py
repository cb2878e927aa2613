"""Samples signed into messages as a truck sends them, and read back as the server reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coldchain.decoders.recorded import decode_recorded
from coldchain.domain.telemetry import Telemetry
from coldchain_ledger.entry import Entry, encode_entry
from integration.telemetry import MINUTE as MINUTE
from integration.telemetry import START as START
from integration.telemetry import Device
from temperature.cases import Case

Sample = tuple[float, str, str]
"""(minute, SenML name, JSON text of the value)."""


def signed(device: Device, samples: Sequence[Sample]) -> bytes:
    return device.sends(f"[{','.join(map(_record, samples))}]")


def _record(sample: Sample) -> str:
    minute, name, value = sample
    field = "vb" if value in ("true", "false") else "v"
    return f'{{"n":"{name}","t":{(START + round(minute * MINUTE)) / 1e6:.6f},"{field}":{value}}}'


def messages_of(samples: Sequence[Sample], size: int) -> list[Telemetry]:
    """What the server makes of them, so many to a message."""
    device, found = Device(), []
    for start in range(0, len(samples), size):
        payload = signed(device, samples[start : start + size])
        entry = Entry("telemetry", "polar", START, "application/jose", "k", "signed", (), payload)
        telemetry = decode_recorded(1, start, encode_entry(entry)).telemetry
        assert telemetry is not None
        found.append(telemetry)
    return found


def pack_of(case: Case, version: int) -> dict[str, Any]:
    """Body of a `rules` entry."""
    since, stage = case.packs[version]
    return {
        "name": "case",
        "version": version + 1,
        "from_us": START + round(since * MINUTE) if since else 0,
        "clause": "case",
        "verified": False,
        "stages": {"transport": stage, "storage": stage},
    }
