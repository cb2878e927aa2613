"""The unsigned formats that gateways and vendor platforms speak: by name, by content type, by topic (docs/decoders.md).

An entry keeps the bytes as they came and, as its type, which of these reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from coldchain.decoders import chirpstack, dcsa, flespi, jtt808, senml_plain, sparkplug, thingsboard, ttn
from coldchain.decoders.errors import DecodeError
from coldchain.domain.uplinks import Uplink

_TOPIC = "; topic="


class Format(NamedTuple):
    """One way to spell what devices said."""

    name: str
    """What a gateway is registered with."""
    media_type: str
    """What an entry's type says."""
    topic: re.Pattern[str]
    """Topics by which it is known where it comes through a bridge, below the gateway's own."""
    read: Callable[..., Uplink]
    """Pure; of the bytes, and of their topic where that says who speaks. Raises DecodeError and nothing else."""
    topical: bool = False
    """Whether it needs the topic, which then is a parameter of the entry's type."""

    def uplink(self, payload: bytes, topic: str) -> tuple[str, Uplink]:
        """(type of the entry, what it says). Raises DecodeError."""
        if not self.topical:
            return self.media_type, self.read(payload)
        return f"{self.media_type}{_TOPIC}{topic}", self.read(payload, topic)


FORMATS = (
    Format("senml", "application/senml+json", re.compile(r"senml(/.*)?"), senml_plain.read),
    Format(
        "chirpstack",
        "application/vnd.chirpstack.v4+json",
        re.compile(r"application/[^/]+/device/[^/]+/event/[a-z]+"),
        chirpstack.read,
    ),
    Format("ttn", "application/vnd.ttn.v3+json", re.compile(r"v3/[^/]+/devices/[^/]+/up"), ttn.read),
    Format(
        "thingsboard",
        "application/vnd.thingsboard.gateway+json",
        re.compile(r"v1/gateway/telemetry"),
        thingsboard.read,
    ),
    Format("flespi", "application/vnd.flespi.message+json", re.compile(r"flespi/message/.+"), flespi.read),
    Format("dcsa", "application/vnd.dcsa.event+json", re.compile(r"dcsa(/.*)?"), dcsa.read),
    Format("jtt808", "application/vnd.jtt808", re.compile(r"jtt808"), jtt808.read),
    Format("sparkplug", "application/vnd.sparkplug.b", re.compile(r"spBv1\.0/.+"), sparkplug.read, topical=True),
)
_BY_NAME = {one.name: one for one in FORMATS}
_BY_TYPE = {one.media_type: one for one in FORMATS}
NAMES = tuple(_BY_NAME)


def format_named(name: str) -> Format:
    """Raises DecodeError for a name that is none."""
    if name not in _BY_NAME:
        raise DecodeError(f"format {name!r:.64}: expected one of {', '.join(NAMES)}")
    return _BY_NAME[name]


def choose(name: str, content_type: str = "", topic: str = "") -> Format:
    """What a payload is written in: its content type says so if it is one of ours, then its topic below the gateway's,
    then what the gateway is registered with. Raises DecodeError."""
    by_type = _BY_TYPE.get(content_type.partition(";")[0].strip().lower())
    if by_type is not None:
        return by_type
    return next((one for one in FORMATS if topic and one.topic.fullmatch(topic)), None) or format_named(name)


def read_recorded(media_type: str, payload: bytes) -> Uplink:
    """What a recorded payload says. Raises DecodeError, also for a type that is no format of ours."""
    name, _, topic = media_type.partition(_TOPIC)
    found = _BY_TYPE.get(name)
    if found is None:
        raise DecodeError(f"type {media_type!r:.100}: no format of gateways")
    return found.uplink(payload, topic)[1]
