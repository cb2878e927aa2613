"""Profiles: which rule pack judges a kind of goods, by place and date (domain §1, docs/temperature.md 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from coldchain.domain import rulefields as read
from coldchain.domain.countries import COUNTRIES
from coldchain.domain.rulefields import RulePackError

PROFILE_KIND = "profile"
_FIELDS = frozenset(("v", "kind", "name", "version", "from_us", "clause", "verified", "product", "packs"))
_CHOICE = frozenset(("pack", "places", "from_us", "to_us"))
_HS = re.compile(r"[0-9]{2,13}")


class Choice(NamedTuple):
    """One pack of a profile, and where and when it judges."""

    pack: str
    places: frozenset[str]
    """ISO 3166 alpha-2 countries; empty: everywhere, also where no country is known."""
    from_us: int
    to_us: int | None
    """The first moment it judges no more; None: it goes on."""

    def holds(self, region: str, t_us: int) -> bool:
        here = not self.places or region in self.places
        return here and self.from_us <= t_us and (self.to_us is None or t_us < self.to_us)


@dataclass(frozen=True, slots=True)
class Profile:
    """One version of one profile."""

    name: str
    version: int
    from_us: int
    """Holds from this time on, until a later version's time."""
    clause: str
    verified: bool
    hs: tuple[str, ...]
    """First digits of the customs codes of its goods."""
    words: tuple[str, ...]
    """Words by which its goods are known where the code does not tell; lower case."""
    choices: tuple[Choice, ...]


class Goods(NamedTuple):
    """What papers and labels say of goods."""

    hs: str = ""
    """Customs code, digits; "" where nobody stated it."""
    text: str = ""
    """Product name or description, as stated."""


def parse_profile(stated: Mapping[str, Any]) -> Profile:
    """A profile from TOML or from the JSON of a `rules` entry. Raises RulePackError; unknown fields are errors too."""
    if stated.get("kind") != PROFILE_KIND:
        raise RulePackError(f"kind: expected {PROFILE_KIND!r}, found {stated.get('kind')!r}", "kind")
    read.only(stated, _FIELDS, "profile")
    name = read.text(stated, "name", "profile")
    product = read.an_object(stated.get("product", {}), f"{name} product")
    read.only(product, {"hs", "words"}, f"{name} product")
    hs = read.texts(product, "hs", f"{name} product")
    for code in hs:
        if not _HS.fullmatch(code):
            raise RulePackError(f"{name} product: hs: expected 2 to 13 digits, found {code!r}", "hs")
    choices = tuple(_parse_choice(one, f"{name} packs") for one in read.a_list(stated, "packs", name))
    if not choices:
        raise RulePackError(f"{name}: packs: expected at least one", "packs")
    return Profile(
        name=name,
        version=read.integer(stated, "version", name, least=1),
        from_us=read.integer({"from_us": 0, **stated}, "from_us", name, least=0),
        clause=read.text(stated, "clause", name),
        verified=read.truth(stated, "verified", name),
        hs=hs,
        words=tuple(word.lower() for word in read.texts(product, "words", f"{name} product")),
        choices=choices,
    )


def _parse_choice(stated: Any, where: str) -> Choice:
    stated = read.an_object(stated, where)
    read.only(stated, _CHOICE, where)
    places = read.texts(stated, "places", where)
    for place in places:
        if place not in COUNTRIES:
            raise RulePackError(f"{where}: places: expected ISO 3166 alpha-2 countries, found {place!r}", "places")
    from_us = read.integer({"from_us": 0, **stated}, "from_us", where, least=0)
    to_us = read.optional(stated, "to_us", where, least=from_us + 1)
    return Choice(read.text(stated, "pack", where), frozenset(places), from_us, to_us)


def profile_at(name: str, t_us: int, profiles: Iterable[Profile]) -> Profile | None:
    """The highest version in force then."""
    named = (profile for profile in profiles if profile.name == name and profile.from_us <= t_us)
    return max(named, key=lambda profile: profile.version, default=None)


def packs_of(profile: Profile, region: str, t_us: int) -> Iterator[str]:
    """Names of the packs it chooses then and there, the most specific first: those for the country before those for
    everywhere, among equals in the order stated."""
    choices = [choice for choice in profile.choices if choice.holds(region, t_us)]
    yield from (choice.pack for choice in sorted(choices, key=lambda choice: not choice.places))


def turning_points(profiles: Iterable[Profile]) -> set[int]:
    """Every time at which some profile may come to choose otherwise."""
    found: set[int] = set()
    for profile in profiles:
        found.add(profile.from_us)
        found.update(t_us for choice in profile.choices for t_us in (choice.from_us, choice.to_us) if t_us is not None)
    return found


def profile_of(goods: Goods, t_us: int, profiles: Sequence[Profile]) -> str:
    """The name of the profile these goods fall under; "" where none, or more than one, claims them equally.

    The longest customs code counts. Words decide where several profiles claim it, and where no code was stated or none
    claims it.
    """
    in_force = [one for name in sorted({one.name for one in profiles}) if (one := profile_at(name, t_us, profiles))]
    by_code = {profile.name: _matching_digits(profile, goods.hs) for profile in in_force}
    longest = max(by_code.values(), default=0)
    claiming = [profile for profile in in_force if by_code[profile.name] == longest] if longest else in_force
    if longest and len(claiming) == 1:
        return claiming[0].name
    text = goods.text.lower()
    found = {profile.name: {word for word in profile.words if word in text} for profile in claiming}
    said = {word for words in found.values() for word in words}
    named = [name for name, words in found.items() if any(not _within(word, said) for word in words)]
    return named[0] if len(named) == 1 else ""


def _within(word: str, others: Iterable[str]) -> bool:
    """`frozen` says nothing beside `quick-frozen`."""
    return any(word != other and word in other for other in others)


def _matching_digits(profile: Profile, hs: str) -> int:
    return max((len(code) for code in profile.hs if hs.startswith(code)), default=0)
