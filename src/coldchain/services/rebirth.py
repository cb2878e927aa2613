"""When a Sparkplug edge node is asked for its birth certificate again: its numbers mean nothing without one.

A host asks (Sparkplug 3.0 §5.17) where it knows of no birth, and where a `seq` is missing for longer than messages take
to overtake each other. What is recorded does not depend on it: this state is of the process, and forgotten with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from coldchain.domain.uplinks import Follows

REORDER_US = 5_000_000
"""A message that is overtaken comes within this time, or is lost."""
AGAIN_US = 60_000_000
"""Least time between two requests to one node: each makes it publish everything it has."""
MAX_NODES = 10_000
_WRAP = 256


@dataclass(slots=True)
class _Node:
    expected: int = -1
    """The next `seq`; -1 while no birth was seen."""
    missing: set[int] = field(default_factory=set)
    since_us: int = 0
    asked_us: int = -AGAIN_US


class Rebirths:
    """Follows the messages of edge nodes as they come in."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], _Node] = {}

    def ask(self, gateway: str, message: Follows, now_us: int) -> bool:
        """Take a message; whether its node is to be asked for a rebirth now."""
        if (gateway, message.node) not in self._nodes and len(self._nodes) >= MAX_NODES:
            del self._nodes[next(iter(self._nodes))]
        node = self._nodes.setdefault((gateway, message.node), _Node())
        _follow(node, message, now_us)
        overdue = bool(node.missing) and now_us - node.since_us >= REORDER_US
        if not (overdue or node.expected < 0) or now_us - node.asked_us < AGAIN_US:
            return False
        node.asked_us = now_us
        node.missing.clear()
        return True


def _follow(node: _Node, message: Follows, now_us: int) -> None:
    if message.begins:
        node.expected, node.missing = (message.seq + 1) % _WRAP, set()
    elif node.expected >= 0 and message.seq in node.missing:
        node.missing.discard(message.seq)
    elif node.expected >= 0:
        skipped = (message.seq - node.expected) % _WRAP
        if skipped < _WRAP // 2:  # else it is an old one that comes again
            node.since_us = node.since_us if node.missing else now_us
            node.missing |= {(node.expected + place) % _WRAP for place in range(skipped)}
            node.expected = (message.seq + 1) % _WRAP
