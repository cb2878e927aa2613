"""Who may publish and subscribe to what, written once and rendered for both brokers."""

from __future__ import annotations

from collections.abc import Iterable

from coldchain.services.messages import KINDS_DOWN, KINDS_UP, Topic, TopicError, check_name

INGEST_FILTERS = ("cc/v1/+/+/+/up/#", "cc/v1/+/+/+/evt")
"""What goes to admission; what is bridged from another broker keeps its own topic below `up`. `status` says whether a
device is connected, which is no fact about goods."""


RETIRED_FILTERS = ("cc/v1/+/+/+/up",)
"""What sessions of earlier versions may still hold: every message would come twice."""


def format_topic(org: str, site: str, device: str, kind: str) -> str:
    """The topic's text. Raises TopicError naming the value that may not stand in it."""
    if kind not in KINDS_UP + KINDS_DOWN:
        raise TopicError(f"kind must be one of {', '.join(KINDS_UP + KINDS_DOWN)}: {kind!r}")
    return str(Topic(check_name(org, "org"), check_name(site, "site"), check_name(device, "device"), kind))


def branch(org: str, site: str, device: str, kinds: Iterable[str]) -> tuple[str, ...]:
    """The filters of each kind below a device; `+` stands for every org, site or device."""
    base = f"cc/v1/{org}/{site}/{device}"
    return tuple(one for kind in kinds for one in _filters(f"{base}/{kind}", kind))


def _filters(topic: str, kind: str) -> tuple[str, ...]:
    """Both, because the subject that NATS makes of the second does not match the first."""
    return (topic, f"{topic}/#") if kind in ("up", "cmd") else (topic,)


def nats_subject(mqtt_filter: str) -> str:
    """The NATS subject of one of our filters (names hold neither dots nor spaces, so nothing else needs mapping)."""
    return mqtt_filter.replace("/", ".").replace("+", "*").replace("#", ">")
