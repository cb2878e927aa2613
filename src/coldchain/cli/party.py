"""`coldchain party org|site|vehicle|room|mount|fitting|agent`, and what concerns a party's word and data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from coldchain.cli.common import Data, data_options, fail
from coldchain.cli.fitting import fitting_options, stated_fitting

KINDS = ("person", "plate")
_FROM = click.option("--from", "valid_from", metavar="TIME", help="Holds from this time on (default: now).")


@click.group(name="party")
def command() -> None:
    """Organisations, sites, vehicles, rooms, mountings and fittings of devices, and who acts for whom."""


def _group(op: str, text: str) -> click.Group:
    """`list` and `show` of one kind; its `add` follows."""
    group = click.Group(op, help=text)

    @group.command(name="list", help="The newest version of each.")
    @data_options
    def list_(data: Data) -> None:
        with data.core() as core:
            items = [_document(version) for version in core.registry.directory.all(op)]
        data.show({"items": items}, lambda d: (_line(item) for item in d["items"]))

    @group.command(name="show", help="Every version, oldest first.")
    @data_options
    @click.argument("name", metavar="ID")
    def show(data: Data, name: str) -> None:
        with data.core() as core:
            versions = [_document(version) for version in core.registry.directory.versions(op, name)]
            if not versions:
                fail(f"{op} {name!r} is not registered")
            plate = versions[-1]["stated"].get("plate")
            opened = {"plate": core.sealed.open(plate)} if plate else {}
        data.show({"id": name, **opened, "versions": versions})

    command.add_command(group)
    return group


def _document(version: Any) -> dict[str, Any]:
    from coldchain.services.moments import rfc3339

    stated = {name: value for name, value in version.stated.items() if name not in ("v", "op", "n", "from_us")}
    return {"id": version.id, "n": version.n, "valid_from": rfc3339(version.from_us), "stated": stated}


def _line(item: Mapping[str, Any]) -> str:
    words = (", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in item["stated"].values())
    return f"{'  '.join(word for word in words if word and word != 'None')}  from {item['valid_from']}"


def _add(data: Data, op: str, valid_from: str | None, stated: Callable[[Any], Mapping[str, Any]]) -> None:
    """Register what `stated` makes of the core, and print the version."""
    from coldchain.services.moments import moment_us

    with data.core(create=True) as core:
        from_us = None if valid_from is None else moment_us(valid_from)
        version, outcome = core.register(op, {**stated(core), "from_us": from_us})
    data.show({**_document(version), "index": outcome.index})


_org = _group("org", "Organisations and their roles.")
_site = _group("site", "Sites, whose they are, and what they are registered for.")
_vehicle = _group("vehicle", "Vehicles by registry id, and who runs them.")
_room = _group("room", "Rooms of a site.")
_mount = _group("mount", "Where devices are mounted since when. Enrolment states the first mounting.")
_fitting = _group("fitting", "What devices' sensors are since when. Enrolment states the first fitting.")
_agent = _group("agent", "Who acts for whom.")


@_org.command(name="add")
@data_options
@click.option("--id", "name", required=True, metavar="ORG", help="A-Z a-z 0-9 _ -; what its entries are `by`.")
@click.option("--role", "roles", multiple=True, required=True, help="carrier, warehouse, importer, …; may be repeated.")
@click.option("--label", default="", help="Its name for people.")
@click.option("--uscc", help="Unified social credit code.")
@click.option("--name", "names", multiple=True, metavar="SUBJECT", help="What events call it, e.g. loc:6901234500011.")
@_FROM
def add_org(
    data: Data,
    name: str,
    roles: tuple[str, ...],
    label: str,
    uscc: str | None,
    names: tuple[str, ...],
    valid_from: str | None,
) -> None:
    """Register an organisation, or a new version of it."""
    stated = {"id": name, "name": label, "roles": list(roles), "names": list(names), "uscc": uscc or ""}
    _add(data, "org", valid_from, lambda _: stated)


@_site.command(name="add")
@data_options
@click.option("--id", "name", required=True, metavar="SITE", help="GLN or own id: the first part of loc: and room:.")
@click.option("--org", required=True, help="Whose it is: from then on only it may state what happens there.")
@click.option("--use", "uses", multiple=True, help="cold-store, devanning, repacking, …; may be repeated.")
@click.option("--label", default="", help="Its name for people.")
@click.option("--country", metavar="CC", help="ISO 3166 alpha-2, e.g. CN: profiles choose rule packs by it.")
@click.option("--fence", metavar="LAT,LON,RADIUS_M", help="Geofence: centre in degrees, radius in metres.")
@_FROM
def add_site(
    data: Data,
    name: str,
    org: str,
    uses: tuple[str, ...],
    label: str,
    country: str | None,
    fence: str | None,
    valid_from: str | None,
) -> None:
    """Register a site, or a new version of it."""
    stated = {"id": name, "org": org, "name": label, "uses": list(uses), **_fence(fence)}
    stated |= {"country": country} if country else {}
    _add(data, "site", valid_from, lambda _: stated)


def _fence(text: str | None) -> dict[str, int]:
    from decimal import Decimal

    if text is None:
        return {}
    try:
        lat, lon, radius = map(Decimal, text.split(","))
        return {"lat_e7": int(lat * 10**7), "lon_e7": int(lon * 10**7), "radius_m": int(radius)}
    except (ArithmeticError, ValueError):  # of Decimal: no number, or one beyond all
        fail(f"--fence {text!r}: expected LAT,LON,RADIUS_M, e.g. 36.0671,120.3826,400")


@_vehicle.command(name="add")
@data_options
@click.option("--id", "name", required=True, metavar="VEHICLE", help="Registry id, never its plate.")
@click.option("--org", required=True, help="Who runs it.")
@click.option("--kind", required=True, help="tractor, trailer or rigid.")
@click.option("--plate", help="Sealed: the ledger gets a salted hash, `party erase` destroys salt and plate.")
@_FROM
def add_vehicle(data: Data, name: str, org: str, kind: str, plate: str | None, valid_from: str | None) -> None:
    """Register a vehicle, or a new version of it."""

    def stated(core: Any) -> dict[str, Any]:
        digest = core.sealed.seal("plate", plate, core.clock()) if plate else ""
        return {"id": name, "org": org, "kind": kind, "plate": digest}

    _add(data, "vehicle", valid_from, stated)


@_room.command(name="add")
@data_options
@click.option("--id", "name", required=True, metavar="SITE/ROOM")
@click.option("--label", default="", help="Its name for people.")
@_FROM
def add_room(data: Data, name: str, label: str, valid_from: str | None) -> None:
    """Register a room of a site."""
    _add(data, "room", valid_from, lambda _: {"id": name, "name": label})


@_mount.command(name="add")
@data_options
@click.option("--id", "name", required=True, metavar="DEVICE")
@click.option("--place", required=True, metavar="veh:ID|room:SITE/ID", help="Where it hangs.")
@_FROM
def add_mount(data: Data, name: str, place: str, valid_from: str | None) -> None:
    """A device is mounted elsewhere from a time on."""
    _add(data, "mount", valid_from, lambda _: {"id": name, "place": place})


@_fitting.command(name="add")
@data_options
@click.option("--id", "name", required=True, metavar="DEVICE")
@fitting_options
@_FROM
def add_fitting(
    data: Data,
    name: str,
    product_probes: tuple[str, ...],
    controller: bool,
    calibration: str | None,
    valid_from: str | None,
) -> None:
    """State anew what a device's sensors are from a time on: a new certificate, another probe in the product."""
    stated = stated_fitting(product_probes, controller, calibration)
    _add(data, "fitting", valid_from, lambda _: {"id": name, **stated})


@_agent.command(name="add")
@data_options
@click.option("--org", required=True, help="For whom it acts.")
@click.option("--agent", required=True, help="Who may then state what happens at its sites and to its goods.")
@click.option("--until", metavar="TIME", help="When that ends (default: it does not).")
@_FROM
def add_agent(data: Data, org: str, agent: str, until: str | None, valid_from: str | None) -> None:
    """Name an agent, or say until when it is one."""
    from coldchain.services.moments import moment_us

    to_us = None if until is None else moment_us(until)
    _add(data, "agent", valid_from, lambda _: {"id": f"{org}/{agent}", "org": org, "agent": agent, "to_us": to_us})


@command.command(name="rule")
@data_options
@click.argument("event", metavar="EVENT")
@click.option("--org", required=True, help="Who rules: whose the place or unit is, its agent, or an authority.")
@click.option("--role", required=True, help="In which of its roles.")
@click.option("--refuse", is_flag=True, help="The event stays without effect (default: it counts).")
@click.option("--reason", default="", help="Recorded with it.")
def rule_(data: Data, event: str, org: str, role: str, refuse: bool, reason: str) -> None:
    """Rule on an event of an unentitled party. EVENT is its key: `channel` of the finding `unentitled event`."""
    from coldchain.db.queries_api import NotKnown
    from coldchain.services.principals import Principal

    decision = "refused" if refuse else "confirmed"
    with data.core() as core:
        core.catch_up_if_alone()
        try:
            ruling = {"event": event, "decision": decision, "reason": reason}
            outcome = core.rule_on_event(Principal(org, role, frozenset(), org), ruling)
        except NotKnown as error:
            fail(str(error))
    data.show({"event": event, "decision": decision, "index": outcome.index})


@command.command()
@data_options
@click.argument("value")
@click.option("--kind", type=click.Choice(KINDS), default="person", show_default=True)
def seal(data: Data, value: str, kind: str) -> None:
    """Seal a name or a plate: prints the digest that an event may hold in its place, e.g. as `coldchain:driver`."""
    with data.core(create=True) as core:
        digest = core.sealed.seal(kind, value, core.clock())
    data.show({"digest": digest}, lambda d: iter([d["digest"]]))


@command.command(name="open")
@data_options
@click.argument("digest")
def open_(data: Data, digest: str) -> None:
    """What is sealed under a digest."""
    with data.core() as core:
        value = core.sealed.open(digest)
    if value is None:
        fail(f"nothing is sealed under {digest!r}, or it was erased")
    data.show({"digest": digest, "value": value}, lambda d: iter([d["value"]]))


@command.command()
@data_options
@click.argument("digest")
def erase(data: Data, digest: str) -> None:
    """Destroy a sealed plate or name with its salt. The entry that holds the digest stays and says nothing any more."""
    with data.core() as core:
        if not core.sealed.erase(digest):
            fail(f"nothing is sealed under {digest!r}, or it was erased already")
    data.show({"erased": digest})
