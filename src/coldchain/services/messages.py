"""What reaches admission by a broker, and what goes back to the device. No broker in here: a test may make them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

KINDS_UP = ("up", "evt", "status")
"""What a device publishes: telemetry, scans and events, its retained state."""
KINDS_DOWN = ("cmd", "ack", "nack")
"""What a device listens to."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Organisation, site and device ids. Other characters are mapped or refused by one broker or the other."""
_TOPIC = re.compile(rf"cc/v1/({NAME.pattern})/({NAME.pattern})/({NAME.pattern})/({'|'.join(KINDS_UP + KINDS_DOWN)})")


class TopicError(ValueError):
    """A topic, or a name to go into one, that is not of telemetry §1; the text quotes it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """`cc/v1/{org}/{site}/{device}/{kind}`."""

    org: str
    site: str
    device: str
    kind: str

    @property
    def base(self) -> str:
        """The device's own branch: the topic without its kind."""
        return f"cc/v1/{self.org}/{self.site}/{self.device}"

    def __str__(self) -> str:
        return f"{self.base}/{self.kind}"


def parse_topic(text: str) -> Topic:
    """The topic a text names. Raises TopicError for every text that `str(Topic)` would not give back."""
    match = _TOPIC.fullmatch(text)
    if match is None:
        raise TopicError(f"not a topic of the form cc/v1/org/site/device/kind: {text!r}")
    return Topic(*match.groups())


def check_name(value: str, what: str) -> str:
    """The value itself; raises TopicError where it may not stand in a topic."""
    if NAME.fullmatch(value) is None:
        raise TopicError(f"{what} must be 1 to 64 ASCII letters, digits, '-' or '_': {value!r}")
    return value


@dataclass(slots=True, init=False)
class Inbound:
    """One published message, as it came. content_type: where its sender states one."""

    topic: str
    payload: bytes
    content_type: str

    def __init__(self, topic: str, payload: bytes, content_type: str = "") -> None:
        self.topic, self.payload, self.content_type = topic, payload, content_type


@dataclass(slots=True, init=False)
class Reply:
    """The answer to one message, sent only after the commit that makes it true (design §4.8).

    topic_base: `cc/v1/{org}/{site}/{device}`.
    kind: `ack`, the device may forget the message; `nack`, it may park it.
    boot, seq: of the message, None where its envelope could not be read, and for what a gateway passed on.
    index: ledger index, for an `ack`.
    sha256: lower-case hex of the message's bytes, and reason: one word, for a `nack`.
    """

    topic_base: str
    kind: Literal["ack", "nack"]
    boot: int | None
    seq: int | None
    index: int | None
    sha256: str
    reason: str
    rebirth: str
    """The Sparkplug edge node, `group/edge node`, that is to be asked for its birth beside this answer."""

    def __init__(
        self,
        topic_base: str,
        kind: Literal["ack", "nack"],
        boot: int | None,
        seq: int | None,
        index: int | None = None,
        sha256: str = "",
        reason: str = "",
        rebirth: str = "",
    ) -> None:
        self.topic_base, self.kind, self.boot, self.seq = topic_base, kind, boot, seq
        self.index, self.sha256, self.reason, self.rebirth = index, sha256, reason, rebirth
