"""What the devices are told: the payloads of `ack` and `nack` (design §4.8). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from coldchain.services.messages import Reply

MORE_PER_ACK = 500
"""Messages named in one `ack` at most: some 15 KiB, so that it passes wherever a message of ours does."""


_REBIRTH_METRIC = b"\x0a\x14Node Control/Rebirth\x20\x0b\x70\x01"
REBIRTH = b"\x12" + bytes((len(_REBIRTH_METRIC),)) + _REBIRTH_METRIC
"""Sparkplug's NCMD: the metric of this name (field 1), Boolean (4), true (14), as the one of a payload (2)."""


def answers(replies: Iterable[Reply | None]) -> Iterator[tuple[str, bytes]]:
    """(topic, payload) of every answer; what one device may forget is told in as few messages as possible. A gateway's
    recorded messages have no number to tell, and the broker's acknowledgement is all it waits for."""
    recorded: dict[str, list[Reply]] = {}
    for reply in replies:
        if reply is not None and reply.rebirth:
            place, _, node = reply.rebirth.partition("/")
            yield f"{reply.topic_base}/cmd/spBv1.0/{place}/NCMD/{node}", REBIRTH
        if reply is None or (reply.kind == "ack" and reply.boot is None):
            continue
        if reply.kind == "ack":
            recorded.setdefault(reply.topic_base, []).append(reply)
        else:
            yield f"{reply.topic_base}/nack", _nack(reply)
    for base, group in recorded.items():
        for start in range(0, len(group), MORE_PER_ACK):
            yield f"{base}/ack", _ack(group[start : start + MORE_PER_ACK])


def _ack(group: Sequence[Reply]) -> bytes:
    first, rest = group[0], group[1:]
    more = ',"more":[' + ",".join([f"[{one.boot},{one.seq},{one.index}]" for one in rest]) + "]" if rest else ""
    return f'{{"boot":{first.boot},"seq":{first.seq},"index":{first.index}{more}}}'.encode()


def _nack(reply: Reply) -> bytes:
    body = {"boot": reply.boot, "seq": reply.seq, "sha256": reply.sha256, "reason": reply.reason}
    return json.dumps(body, separators=(",", ":")).encode()
