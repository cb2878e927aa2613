"""Small worlds in which everything may happen: a few pallets, cases, containers, trucks, sites and parties."""

from __future__ import annotations

from hypothesis import strategies as st

from coldchain.services.recorded import Recorded
from continuity.facts import (
    BOARD,
    BOX,
    DOCK,
    GATE,
    OTHER_BOARD,
    OUT,
    ROADSIDE,
    STORE,
    TRAILER,
    TRAILER2,
    TRUCK,
    TRUCK2,
    S,
    T,
    U,
    carton,
    case,
    claim,
    doors,
    inner,
    issue,
    load,
    mounted,
    pack,
    paper,
    read,
    ruled,
    scan,
    seal,
    seen_in,
    site,
    supervision,
    take,
    unload,
)
from continuity.telling import EVIDENCE

LOADS, CARRIERS, POINTS = (S, T, U), (TRUCK, TRUCK2, BOX), (OUT, GATE, DOCK, STORE, ROADSIDE)
LOTS = ("lot:16901234500018/L1", "lot:16901234500018/L2")
PARTIES = ("w1", "w2", "carrier")
NUMBERS = st.lists(st.integers(1, 5), max_size=5, unique=True)
FEW = st.lists(st.integers(1, 5), min_size=1, max_size=2, unique=True)
SEALS = ("A1234567", "A1234561", "C7654321")


@st.composite
def handling(draw: st.DrawFn) -> Recorded:
    """One event of a pallet's life."""
    at_h = draw(st.integers(0, 40)) / 4
    thing, by, point = draw(st.sampled_from(LOADS)), draw(st.sampled_from(PARTIES)), draw(st.sampled_from(POINTS))
    kind = draw(
        st.sampled_from(("pack", "pack", "read", "read", "read", "read", "take", "empty", "scan", "lots", "weigh"))
    )
    board = draw(st.sampled_from((None, None, BOARD, OTHER_BOARD)))
    count = draw(st.sampled_from((None, None, 3, 5, 8)))
    linked = draw(st.sampled_from((None, None, None, [S], [case(4)])))
    match kind:
        case "pack":
            return pack(at_h, thing, *draw(FEW), at=point, by=by, board=board, count=count, linkedFrom=linked)
        case "read":
            return read(at_h, point, thing, *draw(NUMBERS), by=by, board=board, count=count)
        case "take":
            return take(at_h, thing, *draw(FEW), by=by)
        case "empty":
            return take(at_h, thing, by=by)
        case "scan":
            return scan(at_h, point, thing, *(case(n) for n in draw(NUMBERS)), by=by, count=count, board=board)
        case "lots":
            amounts = [
                (lot, draw(st.sampled_from((3, 40)))) for lot in draw(st.sampled_from((LOTS, LOTS[:1], LOTS[1:])))
            ]
            return draw(
                st.sampled_from((pack(at_h, thing, lots=amounts, by=by), read(at_h, point, thing, lots=amounts, by=by)))
            )
    return read(at_h, point, thing, by=by, grossWeight={"value": draw(st.sampled_from((100, 101, 300))), "uom": "KGM"})


@st.composite
def transport(draw: st.DrawFn) -> Recorded:
    """One event of a ride: loading, unloading, a look on the way, a seal, a leg."""
    at_h = draw(st.integers(0, 40)) / 4
    thing = draw(st.sampled_from((*LOADS, BOX)))
    carrier = draw(st.sampled_from(CARRIERS if thing != BOX else CARRIERS[:2]))
    point, by = draw(st.sampled_from(("", "", *POINTS))), draw(st.sampled_from(PARTIES))
    trailer = draw(st.sampled_from((None, None, TRAILER, TRAILER2)))
    kind = draw(st.sampled_from(("load", "load", "unload", "unload", "seen", "seal", "seal", "empty")))
    match kind:
        case "load":
            leg = draw(st.sampled_from((None, None, None, "palletised", "loose", "unstated")))
            return load(at_h, carrier, thing, at=point, by=by, trailer=trailer, leg=leg)
        case "unload":
            return unload(at_h, carrier, thing, at=point, by=by, trailer=trailer)
        case "seen":
            return seen_in(at_h, carrier, thing, at=point, by=by, trailer=trailer)
        case "empty":
            return unload(at_h, carrier, at=point, by=by)
    act, state = draw(
        st.sampled_from(
            (
                ("applied", ""),
                ("applied", ""),
                ("checked", "intact"),
                ("checked", "broken"),
                ("checked", "absent"),
                ("removed", ""),
            )
        )
    )
    return seal(at_h, draw(st.sampled_from((TRUCK, BOX, S))), draw(st.sampled_from(SEALS)), act, state, by=by)


@st.composite
def opening(draw: st.DrawFn) -> Recorded:
    """A carton looked at, or its number issued."""
    at_h, number = draw(st.integers(0, 40)) / 4, draw(st.integers(1, 2))
    point, by = draw(st.sampled_from(POINTS)), draw(st.sampled_from(PARTIES))
    if draw(st.integers(0, 4)) == 0:
        return issue(at_h, case(number), by=by)
    state = draw(st.sampled_from(("", "", "intact", "opened", "re-taped")))
    within = inner(*draw(st.lists(st.integers(1, 3), max_size=3, unique=True)))
    linked = draw(st.sampled_from((None, None, [case(1)])))
    return carton(at_h, point, number, state, within, by=by, linkedFrom=linked)


@st.composite
def answers(draw: st.DrawFn) -> list[Recorded]:
    """Claims, some with a piece missing, and what becomes of them; supervision."""
    found: list[Recorded] = []
    for name in draw(st.lists(st.sampled_from(("c1", "c2", "c3")), max_size=3, unique=True)):
        code = draw(st.sampled_from(sorted(EVIDENCE)))
        evidence = dict(EVIDENCE[code])
        if draw(st.booleans()):
            del evidence[draw(st.sampled_from(sorted(evidence)))]
        about = draw(st.sampled_from((S, T, U, BOX, TRUCK, case(1))))
        found.append(claim(code, evidence, about, from_h=0, to_h=draw(st.sampled_from((4, 12))), name=name))
        kind = draw(st.sampled_from(("", "confirmed", "confirmed", "refused", "paper")))
        if kind == "paper":
            found.append(paper(name))
        elif kind:
            role = draw(st.sampled_from(("customs", "inspector", "counterparty")))
            found.append(ruled(name, kind, role))
    if draw(st.booleans()):
        unit = draw(st.sampled_from((S, BOX, TRUCK)))
        found.append(supervision(draw(st.integers(-1, 3)), "begin", unit))
        if draw(st.booleans()):
            found.append(supervision(draw(st.integers(4, 9)), "release", unit, n=2))
    return found


@st.composite
def networks(draw: st.DrawFn) -> list[Recorded]:
    """Everything recorded of one small world, in no particular order."""
    found = draw(st.lists(st.one_of(handling(), handling(), transport(), opening()), min_size=3, max_size=16))
    found += draw(answers())
    if draw(st.booleans()):
        found.append(site("w1", "cold-store", lat=31.2, lon=121.5, org="w1"))
        found += [site("w2", lat=23.1, lon=113.3, org="w2")] if draw(st.booleans()) else []
    if draw(st.booleans()):
        found += [mounted(), doors(0, (draw(st.integers(1, 9)), True), (9.5, False))]
    unique = {item.entry.key: item for item in found}
    return list(unique.values())


def events_of() -> st.SearchStrategy[list[Recorded]]:
    """Events alone, more of them, where no site is registered."""
    kinds = st.one_of(handling(), handling(), transport(), transport(), opening())
    return st.lists(kinds, min_size=2, max_size=24, unique_by=lambda item: item.entry.key)
