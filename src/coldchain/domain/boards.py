"""Pallet boards: which returnable asset (GRAI) carried which load (SSCC), from when to when.

The board is another thing than the load (domain §2) and no place the load is in: it rides beneath. Without a stated
board there is no history, and P1 is not judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from coldchain.domain.events import Event, in_force
from coldchain.domain.identifiers import IdentifierError, subject_name

ON, SEEN, OFF = "on", "seen", "off"
_RANK = {OFF: 0, ON: 1, SEEN: 2}
"""Of acts of one instant: an exchange of boards leaves the one before it comes onto the next."""
LOADS = ("sscc:", "hu:")
BOARD = "grai:"


class BoardFact(NamedTuple):
    """What one event says about one load and one board."""

    load: str
    board: str
    act: str
    """`on`: put on it (ADD) · `seen`: read or stated together · `off`: taken off (DELETE)."""
    time_us: int
    point: str
    """Where; two facts at one read point are one observation repeated."""
    key: str
    by: str


class BoardSpan(NamedTuple):
    """`board` carried `load` during [from_us, to_us); to_us None: as far as is known it still does."""

    load: str
    board: str
    from_us: int
    to_us: int | None
    seen_us: int
    """The last moment they were stated together."""
    began: str
    """`on`: declared · `seen`: known by a reading alone."""
    ended: str
    """`off`: declared · `on`, `seen`: by what showed it on another board · "": it has not."""
    why: tuple[str, ...]
    """Event keys, by time."""


def boards_in(event: Event) -> tuple[BoardFact, ...]:
    """What this event states of boards, sorted: by associating or aggregating one with a load, or by its `board`."""
    pairs = set()
    if event.kind in ("AssociationEvent", "AggregationEvent"):
        for unit in event.units:
            pairs |= {(a, b) for a, b in ((unit, event.parent), (event.parent, unit)) if _carries(b, a)}
    act = {"ADD": ON, "DELETE": OFF}.get(event.action, SEEN)
    found = {_fact(event, load, board, act) for load, board in pairs}
    if board := _board(event.extra("board")):
        loads = [event.parent] if event.parent.startswith(LOADS) else [u for u in event.units if u.startswith(LOADS)]
        stated = ON if event.action == "ADD" else SEEN  # taking cases off a load leaves the load on its board
        found |= {_fact(event, load, board, stated) for load in loads if (load, board) not in pairs}
    return tuple(sorted(found))


def board_history(events: Iterable[Event]) -> tuple[BoardFact, ...]:
    """Every statement of the events that stand, by time; the same for any order and repetition of the events."""
    standing, disputed = in_force(events)
    facts = {fact for event in standing if event.key not in disputed for fact in boards_in(event)}
    return tuple(sorted(facts, key=_by_time))


def board_spans(facts: Iterable[BoardFact]) -> tuple[BoardSpan, ...]:
    """Which board carried each load when, by load and time. Whether a change was lawful is continuity's question.

    A load is on one board at a time: the next board begins where the one before ends. Taking a load off a board it is
    not on changes nothing.
    """
    on: dict[str, BoardSpan] = {}
    done: list[BoardSpan] = []
    for fact in sorted(set(facts), key=_by_time):
        span = on.get(fact.load)
        if span is not None and span.board == fact.board:
            on[fact.load] = span = span._replace(seen_us=fact.time_us, why=(*span.why, fact.key))
            if fact.act == OFF:
                done.append(on.pop(fact.load)._replace(to_us=fact.time_us, ended=OFF))
        elif fact.act != OFF:
            if span is not None:
                done.append(span._replace(to_us=fact.time_us, ended=fact.act, why=(*span.why, fact.key)))
            on[fact.load] = BoardSpan(
                fact.load, fact.board, fact.time_us, None, fact.time_us, fact.act, "", (fact.key,)
            )
    return tuple(sorted([*done, *on.values()], key=_by_load))


def _by_load(span: BoardSpan) -> tuple[str, int, bool, int, BoardSpan]:
    return span.load, span.from_us, span.to_us is None, span.to_us or 0, span


def _carries(board: str, load: str) -> bool:
    return board.startswith(BOARD) and load.startswith(LOADS)


def _fact(event: Event, load: str, board: str, act: str) -> BoardFact:
    return BoardFact(load, board, act, event.time_us, event.read_point or event.location, event.key, event.by)


def _by_time(fact: BoardFact) -> tuple[int, int, BoardFact]:
    return fact.time_us, _RANK[fact.act], fact


def _board(stated: object) -> str:
    """The asset's name, in any spelling and as the bare number; "" for what names none."""
    if not isinstance(stated, str) or not stated:
        return ""
    try:
        name = subject_name(stated if ":" in stated else BOARD + stated)
    except IdentifierError:
        return ""
    return name if name.startswith(BOARD) else ""
