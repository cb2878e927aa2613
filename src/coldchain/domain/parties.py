"""Who is who: organisations, sites, vehicles, rooms, where devices are mounted, their sensors, and who acts for whom
(design §6).

Each is registered by `identity` entries, version after version. A version speaks of the time from its `from_us` on; at
any moment the highest version that speaks of it holds, so a mistake is corrected by registering again from the same
moment. Everything here is a function of the set of versions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from coldchain.domain.countries import COUNTRIES
from coldchain.domain.exceptions import AUTHORITIES
from coldchain.domain.fittings import FittingError, read_fitting
from coldchain.domain.identifiers import IdentifierError, credit_code, subject_name

OPS = ("org", "site", "vehicle", "room", "mount", "fitting", "agent")
ROLES = (
    "operator",
    "carrier",
    "warehouse",
    "importer",
    "plant",
    "customs",
    "inspector",
    "auditor",
    "retailer",
)
USES = (
    "plant",
    "port",
    "customs-site",
    "central-supervised-warehouse",
    "devanning",
    "cold-store",
    "processing",
    "repacking",
    "cross-dock",
    "market",
    "retail",
)
"""What a site may be registered for."""
VEHICLES = ("tractor", "trailer", "rigid")
MAX_TEXT = 200
"""Characters of a name a person gives."""
_LIMIT = 2**53
_MAX_N = 10**9
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACE = re.compile(r"(veh|room):[A-Za-z0-9_/-]{1,120}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class PartyError(ValueError):
    """An order that registers nothing; the text names the field, what is expected there and what was found."""


class Registration(NamedTuple):
    """One version of one thing registered; `stated` is the whole order as recorded."""

    op: str
    id: str
    """Organisation, site, vehicle or device; `<site>/<room>`; `<organisation>/<agent>`."""
    n: int
    from_us: int
    """Event time from which it holds."""
    stated: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Its entry's idempotency key."""
        return f"identity/{self.op}/{self.id}/{self.n}"

    @property
    def subjects(self) -> tuple[str, ...]:
        """What the entry speaks about (ledger §5.1), sorted."""
        names = {
            _subject(self.op, self.id),
            *(org_name(self.stated[name]) for name in ("org", "agent") if name in self.stated),
        }
        return tuple(sorted(names | ({self.stated["place"]} if self.op == "mount" else set())))


def org_name(org: str) -> str:
    """The subject name of an organisation; in events `urn:coldchain:code:org/<id>`."""
    return f"code:org/{org}"


def site_of(place: str) -> str:
    """The site a `loc:` or `room:` name belongs to; "" for any other name."""
    kind, _, rest = place.partition(":")
    return rest.partition("/")[0] if kind in ("loc", "room") else ""


def _subject(op: str, name: str) -> str:
    prefix = {
        "org": "code:org/",
        "site": "loc:",
        "vehicle": "veh:",
        "room": "room:",
        "mount": "dev:",
        "fitting": "dev:",
    }
    return prefix[op] + name if op in prefix else org_name(name.partition("/")[0])


def read_registration(body: Mapping[str, Any]) -> Registration:
    """The version an `identity` entry with one of our ops states. Raises PartyError."""
    op = body.get("op")
    if op not in _CHECKS:
        raise PartyError(f"op: expected one of {', '.join(OPS)}, found {op!r}")
    n, from_us = _whole(body, "n"), _whole(body, "from_us")
    if not 1 <= n <= _MAX_N:
        raise PartyError(f"n: expected 1 to {_MAX_N}, found {n}")
    _CHECKS[op](body)
    return Registration(op, body["id"], n, from_us, body)


def _check_org(body: Mapping[str, Any]) -> None:
    _named(body, "id")
    _label(body, "name")
    roles = _words(body, "roles", ROLES)
    if not roles:
        raise PartyError(f"roles: expected at least one of {', '.join(ROLES)}")
    if body.get("uscc"):
        _label(body, "uscc")
        _spelled(credit_code, body["uscc"], "uscc")
    for name in _list(body, "names"):
        _spelled(subject_name, name, "names")


def _check_site(body: Mapping[str, Any]) -> None:
    _named(body, "id")
    _spelled(subject_name, f"loc:{body['id']}", "id")  # 13 digits are a GLN, with its check digit
    _named(body, "org")
    _label(body, "name")
    _words(body, "uses", USES)
    country = body.get("country", "")
    if country != "" and country not in COUNTRIES:
        raise PartyError(f"country: expected an ISO 3166 alpha-2 code, e.g. CN, found {country!r}")
    fence = [body.get(name) for name in ("lat_e7", "lon_e7", "radius_m")]
    if any(value is not None for value in fence):
        lat, lon, radius = (_whole(body, name) for name in ("lat_e7", "lon_e7", "radius_m"))
        if abs(lat) > 900_000_000 or abs(lon) > 1_800_000_000 or not 1 <= radius <= 100_000:
            raise PartyError(f"geofence: expected degrees and a radius of 1 to 100000 m, found {lat}, {lon}, {radius}")


def _check_vehicle(body: Mapping[str, Any]) -> None:
    _named(body, "id")
    _named(body, "org")
    if body.get("kind") not in VEHICLES:
        raise PartyError(f"kind: expected one of {', '.join(VEHICLES)}, found {body.get('kind')!r}")
    plate = body.get("plate", "")
    if plate != "" and not (isinstance(plate, str) and _DIGEST.fullmatch(plate)):
        raise PartyError("plate: expected the 64 hex digits of a sealed plate, never the plate itself")


def _check_room(body: Mapping[str, Any]) -> None:
    _pair(body, "a room as <site>/<room>")
    _label(body, "name")


def _check_mount(body: Mapping[str, Any]) -> None:
    _named(body, "id")
    place = body.get("place")
    if not isinstance(place, str) or not _PLACE.fullmatch(place):
        raise PartyError(f"place: expected veh:<id> or room:<site>/<id>, found {place!r}")


def _check_fitting(body: Mapping[str, Any]) -> None:
    _named(body, "id")
    try:
        read_fitting(body)
    except FittingError as error:
        raise PartyError(str(error)) from error


def _check_agent(body: Mapping[str, Any]) -> None:
    _pair(body, "who acts for whom as <organisation>/<agent>")
    _named(body, "org")
    _named(body, "agent")
    if body["id"] != f"{body['org']}/{body['agent']}":
        raise PartyError(f"id: expected {body['org']}/{body['agent']}, found {body['id']!r}")
    if body.get("to_us") is not None:
        _whole(body, "to_us")


_CHECKS = {
    "org": _check_org,
    "site": _check_site,
    "vehicle": _check_vehicle,
    "room": _check_room,
    "mount": _check_mount,
    "fitting": _check_fitting,
    "agent": _check_agent,
}


def _named(body: Mapping[str, Any], name: str) -> None:
    value = body.get(name)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise PartyError(f"{name}: expected 1 to 64 of A-Z a-z 0-9 _ -, found {value!r}")


def _pair(body: Mapping[str, Any], what: str) -> None:
    value = body.get("id")
    parts = value.split("/") if isinstance(value, str) else []
    if len(parts) != 2 or not all(_NAME.fullmatch(part) for part in parts):
        raise PartyError(f"id: expected {what}, each 1 to 64 of A-Z a-z 0-9 _ -, found {value!r}")


def _label(body: Mapping[str, Any], name: str) -> None:
    value = body.get(name, "")
    if not isinstance(value, str) or not (value == "" or value.isprintable()) or len(value) > MAX_TEXT:
        raise PartyError(f"{name}: expected printable text of at most {MAX_TEXT} characters, found {value!r}")


def _whole(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    if type(value) is not int or abs(value) >= _LIMIT:
        raise PartyError(f"{name}: expected an integer below 2^53, found {value!r}")
    return value


def _list(body: Mapping[str, Any], name: str) -> Sequence[str]:
    values = body.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise PartyError(f"{name}: expected a list of texts, found {values!r}")
    return values


def _words(body: Mapping[str, Any], name: str, known: Sequence[str]) -> Sequence[str]:
    values = _list(body, name)
    for value in values:
        if value not in known:
            raise PartyError(f"{name}: expected {', '.join(known)}, found {value!r}")
    return values


def _spelled(read: Callable[[str], str], value: str, field: str) -> None:
    """Whether the value is an identifier in its one canonical spelling."""
    try:
        right = read(value)
    except IdentifierError as error:
        raise PartyError(f"{field}: {error}") from error
    if right != value:
        raise PartyError(f"{field}: expected it spelled {right}, found {value!r}")


class Directory:
    """Every version of every registration, in any order."""

    def __init__(self, versions: Iterable[Registration] = ()) -> None:
        self._versions: dict[tuple[str, str], dict[int, Registration]] = {}
        self._names: dict[str, set[str]] = {}
        for version in versions:
            self.add(version)

    def add(self, version: Registration) -> bool:
        """Whether it was not known yet."""
        known = self._versions.setdefault((version.op, version.id), {})
        if version.n in known:
            return False
        known[version.n] = version
        if version.op == "org":
            uscc = version.stated.get("uscc")
            for name in (*version.stated.get("names", ()), *([f"code:uscc/{uscc}"] if uscc else ())):
                self._names.setdefault(name, set()).add(version.id)
        return True

    def versions(self, op: str, name: str) -> list[Registration]:
        """Every version of one thing, oldest first."""
        return [version for _, version in sorted(self._versions.get((op, name), {}).items())]

    def latest(self, op: str, name: str) -> Registration | None:
        """The newest version, whenever it begins to hold."""
        return next(reversed(self.versions(op, name)), None)

    def at(self, op: str, name: str, t_us: int) -> Registration | None:
        """What holds at that moment."""
        return max(
            (v for v in self._versions.get((op, name), {}).values() if v.from_us <= t_us), key=_number, default=None
        )

    def all(self, op: str) -> list[Registration]:
        """The newest version of everything of one kind, by id."""
        return [max(known.values(), key=_number) for (one, _), known in sorted(self._versions.items()) if one == op]

    def org_called(self, name: str) -> str:
        """The organisation an event calls so; the name itself where none, or more than one, is called so."""
        if name.startswith("code:org/"):
            return name.removeprefix("code:org/")
        called = self._names.get(name, set())
        return next(iter(called)) if len(called) == 1 else name

    def owner(self, place: str, t_us: int) -> str:
        """Whose a place or vehicle was; "" where nobody had registered it."""
        vehicle = place.removeprefix("veh:") if place.startswith("veh:") else ""
        held = self.at("vehicle", vehicle, t_us) if vehicle else self.at("site", site_of(place), t_us)
        return "" if held is None else str(held.stated["org"])

    def owned(self, org: str, place: str, from_us: int, to_us: int) -> bool:
        """Whether a place or vehicle was that organisation's all the time from one moment to the other."""
        turns = (v.from_us for v in self._owners(place) if from_us < v.from_us < to_us)
        return all(self.owner(place, t_us) == org for t_us in (from_us, to_us, *turns))

    def ever_owned(self, org: str, place: str) -> bool:
        """Whether a place or vehicle was ever registered as that organisation's."""
        return any(version.stated["org"] == org for version in self._owners(place))

    def _owners(self, place: str) -> list[Registration]:
        vehicle = place.startswith("veh:")
        return self.versions("vehicle" if vehicle else "site", place[len("veh:") :] if vehicle else site_of(place))

    def uses(self, place: str, t_us: int) -> frozenset[str]:
        """What the site of a place was registered for; empty where nobody had registered it."""
        site = self.at("site", site_of(place), t_us)
        return frozenset(() if site is None else site.stated.get("uses", ()))

    def roles(self, org: str, t_us: int) -> frozenset[str]:
        """Empty for an organisation nobody registered."""
        known = self.at("org", org, t_us)
        return frozenset(() if known is None else known.stated["roles"])

    def is_authority(self, org: str, t_us: int) -> bool:
        return not AUTHORITIES.isdisjoint(self.roles(org, t_us))

    def acts_for(self, org: str, principal: str, t_us: int) -> bool:
        """Whether `org` is that organisation or was its agent."""
        if org == principal:
            return True
        agent = self.at("agent", f"{principal}/{org}", t_us)
        return agent is not None and (agent.stated.get("to_us") is None or t_us < agent.stated["to_us"])


def _number(version: Registration) -> int:
    return version.n


def schedule(versions: Iterable[Registration]) -> list[Registration]:
    """Versions of one thing as they take turns: by time, without those that never hold."""
    ordered = sorted(versions, key=lambda version: (version.from_us, version.n))
    found: list[Registration] = []
    for place, version in enumerate(ordered):
        last_of_moment = place + 1 == len(ordered) or ordered[place + 1].from_us > version.from_us
        if last_of_moment and (not found or version.n > found[-1].n):
            found.append(version)
    return found
