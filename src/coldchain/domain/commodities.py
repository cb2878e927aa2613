"""Which kind of goods something is, from what papers and labels state, and the profile it falls under (domain §1).

Of one sender the newest statement counts, whenever it was recorded. Statements about a case come before those about its
lot, those before what is said of the GTIN; what is printed in the name of a lot counts where nobody states a product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from coldchain.domain.events import Event
from coldchain.domain.profiles import Goods, Profile, profile_at, profile_of, turning_points
from coldchain.domain.tracing import FOREVER_US

MAX_PRODUCT = 256
Span = tuple[int, int]
Turns = tuple[tuple[int, str], ...]
"""(from, name of a profile; "": that of each device) of one kind of goods, ascending, the first from always on."""
OF_DEVICES: Turns = ((-FOREVER_US, ""),)
ALWAYS: tuple[Span, ...] = ((-FOREVER_US, FOREVER_US),)


class GoodsFact(NamedTuple):
    """What an event states of the kind of some goods."""

    item: str
    """`lot:`, `case:` or `code:gtin/`."""
    key: str
    hs: str
    """Customs code, digits; "" where only the product is stated."""
    product: str
    """"" where only the code is."""
    time_us: int
    by: str


class Commodity(NamedTuple):
    """The kind of some goods."""

    goods: Goods
    codes: tuple[str, ...] = ()
    """Customs codes that contradict each other, sorted; none: there is no such contradiction."""


UNSTATED = Commodity(Goods())


class Fall(NamedTuple):
    """Under which profiles goods fall, and why."""

    turns: Turns
    why: str
    """By what they fall under it, `hs 0202300090` or `product name`; or why there is none."""


class Judged(NamedTuple):
    """What some of the goods in a unit are judged by, for as long as they are in it."""

    turns: Turns
    spans: tuple[Span, ...]
    why: tuple[str, ...]

    def profile(self, t_us: int) -> str:
        """ "" for that of the devices."""
        return next(name for from_us, name in reversed(self.turns) if from_us <= t_us)


BY_DEVICES = (Judged(OF_DEVICES, ALWAYS, ("nobody stated what goods these are",)),)


def goods_in(event: Event) -> Iterator[GoodsFact]:
    """What an event states of goods: line by line in `coldchain:goods`; in its ILMD, or beside it, of all that it
    brings into being."""
    for line in event.extra("goods") or ():
        yield GoodsFact(line["item"], event.key, line.get("hs", ""), line.get("product", ""), event.time_us, event.by)
    said = event.extra("ilmd") or {}
    hs, product = event.extra("hs") or said.get("hs", ""), event.extra("product") or said.get("product", "")
    if hs or product:
        for item in sorted(_brought(event)):
            yield GoodsFact(item, event.key, hs, product, event.time_us, event.by)


def _brought(event: Event) -> set[str]:
    if event.kind == "TransformationEvent":
        found = set(event.outputs)
    elif event.kind == "ObjectEvent" and event.action == "ADD":
        found = {*event.units, *(one.item for one in event.quantities)}
    else:
        found = set()
    return {name for name in found if name.startswith(("case:", "lot:", "code:gtin/"))}


def classes_of(item: str) -> tuple[str, ...]:
    """The item itself, then the class of goods its name says it is of."""
    kind, _, rest = item.partition(":")
    gtin = rest.partition("/")[0]
    known = kind in ("lot", "case") and len(gtin) == 14 and gtin.isdecimal()
    return (item, f"code:gtin/{gtin}") if known else (item,)


def printed_product(lot: str) -> str:
    """The product in `lot:<plant>/<product>/<lot or date>`; "" in any other name."""
    parts = lot.removeprefix("lot:").split("/")
    if not lot.startswith("lot:") or len(parts) < 3 or parts[1] == "sha256":
        return ""
    return parts[1].replace("%2F", "/").replace("%25", "%")


def commodity(names: Sequence[str], stated: Mapping[str, Iterable[GoodsFact]]) -> Commodity:
    """What goods are that go by these names, those that say most about them first; the same for any order of facts."""
    layers = [list(stated.get(name, ())) for name in names]
    codes: tuple[str, ...] = next(filter(None, map(_codes, layers)), ())
    text = next(filter(None, map(_product, layers)), "") or next(filter(None, map(printed_product, names)), "")
    if len(codes) > 1:
        return Commodity(Goods("", text), codes)
    return Commodity(Goods(codes[0] if codes else "", text))


def _codes(facts: Iterable[GoodsFact]) -> tuple[str, ...]:
    """The newest of each sender; a code that only begins another says nothing else."""
    newest: dict[str, int] = {}
    coded = [fact for fact in facts if fact.hs]
    for fact in coded:
        newest[fact.by] = max(newest.get(fact.by, fact.time_us), fact.time_us)
    found = {fact.hs for fact in coded if fact.time_us == newest[fact.by]}
    return tuple(sorted(code for code in found if not any(one != code and one.startswith(code) for one in found)))


def _product(facts: Iterable[GoodsFact]) -> str:
    return max(((fact.time_us, fact.product) for fact in facts if fact.product), default=(0, ""))[1]


def fall(kind: Commodity, profiles: Sequence[Profile]) -> Fall:
    """The profiles these goods fall under, by time; those of the devices where none, or more than one, claims them."""
    if kind.codes:
        return Fall(OF_DEVICES, f"customs codes contradict each other: {', '.join(kind.codes)}")
    if kind == UNSTATED:
        return Fall(OF_DEVICES, BY_DEVICES[0].why[0])
    turns: list[tuple[int, str]] = []
    for t_us in sorted({0} | turning_points(profiles)):
        name = profile_of(kind.goods, t_us, profiles)
        if not turns or turns[-1][1] != name:
            turns.append((t_us if turns else -FOREVER_US, name))
    if tuple(turns) == OF_DEVICES:
        return Fall(OF_DEVICES, f"no profile claims {_told(kind.goods)}")
    by_code = any(
        kind.goods.hs.startswith(code)
        for t_us, name in turns
        if name and kind.goods.hs and (one := profile_at(name, max(0, t_us), profiles))
        for code in one.hs
    )
    return Fall(tuple(turns), f"hs {kind.goods.hs}" if by_code else "product name")


def _told(goods: Goods) -> str:
    return " ".join(filter(None, (goods.hs and f"hs {goods.hs}", goods.text and f"{goods.text!r}")))
