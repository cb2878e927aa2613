"""`coldchain device enrol|list|show|rotate|revoke`, and `device_gateways` for what does not sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from coldchain.cli import device_gateways
from coldchain.cli.common import UNCHECKED, Data, data_options, fail, time_floor_us
from coldchain.cli.device_summary import summary
from coldchain.cli.fitting import fitting_options, stated_fitting


@click.group(name="device")
def command() -> None:
    """Devices: enrol, list, show, rotate and revoke; gateways and what is behind them. Works beside a server."""


@command.command()
@data_options
@click.option("--org", required=True, help="Organisation that owns the device.")
@click.option("--site", required=True, help="Site or fleet it belongs to.")
@click.option("--id", "device", required=True, help="Device id, unique in the ledger: A-Z a-z 0-9 _ -.")
@click.option("--public-key", type=click.Path(path_type=Path, dir_okay=False), help="PEM file with its public key.")
@click.option("--request", type=click.Path(path_type=Path, dir_okay=False), help="Signed request proving possession.")
@click.option("--place", metavar="veh:ID|room:SITE/ID", help="Where it is mounted.")
@click.option("--profile", default="CN-frozen", show_default=True, help="Rule pack for its temperatures, or `none`.")
@click.option("--grade", type=click.Choice(["signed", "transport"]), default="signed", show_default=True)
@click.option("--role", type=click.Choice(["sensor", "portal"]), default="sensor", show_default=True)
@click.option("--time-floor", metavar="DATE", help="Device times before it are not believed (default: the setting).")
@fitting_options
def enrol(
    data: Data,
    org: str,
    site: str,
    device: str,
    public_key: Path | None,
    request: Path | None,
    place: str | None,
    profile: str,
    grade: Any,
    role: Any,
    time_floor: str | None,
    product_probes: tuple[str, ...],
    controller: bool,
    calibration: str | None,
) -> None:
    """Enrol a device: its key enters the ledger, its account the broker. Prints how it connects.

    Running this on the data directory is the operator's confirmation; --request FILE carries the device's own proof
    that it holds the key: a message signed by it, of typ enrol+json, with {"device","public_key"}.
    """
    from coldchain.bootstrap.enrol import enrol_device, read_public_key, read_request
    from coldchain.cli.profiles import check_profile
    from coldchain.services.identity import Enrolment

    if (public_key is None) == (request is None):
        fail("give either --public-key PEM or --request FILE")
    settings = data.settings()
    alg, spki = read_public_key(public_key) if public_key else read_request(request, device)  # type: ignore[arg-type]
    order = Enrolment(
        org=org,
        site=site,
        device=device,
        alg=alg,
        public_key=spki,
        grade=grade,
        place=place,
        profile=None if profile == "none" else profile,
        time_floor_us=time_floor_us(time_floor or settings.time_floor),
        role=role,
        **stated_fitting(product_probes, controller, calibration),
    )
    with data.core(create=True) as core:
        check_profile(core, order.profile)
        document, obstacle = enrol_device(core, order)
    data.show(document)  # whatever the broker does: the password is told once
    if obstacle:
        fail(f"enrolled, but {obstacle}", UNCHECKED)


@command.command(name="list")
@data_options
def list_(data: Data) -> None:
    """Every enrolled device with its keys."""
    with data.core() as core:
        devices: dict[str, Any] = {}
        for key in core.registry.all():
            item = devices.setdefault(key.device, {"device": key.device, "org": key.org, "site": key.site, "keys": []})
            item["place"] = key.stated.get("place")
            item["keys"].append({"kid": key.kid, "alg": key.alg, "revoked": key.revoked_at is not None})
        for version in core.registry.sources.all():
            stated = {"device": version.device, "org": version.org, "site": version.site, "keys": []}
            behind = {"place": version.place or None, "gateway": version.gateway, "source": version.source}
            devices.setdefault(version.device, {**stated, **behind})
        gateways = [
            {"gateway": one.device, "org": one.org, "site": one.site, "format": one.format, "closed": one.closed}
            for one in core.registry.gateways()
        ]
    data.show(
        {"items": list(devices.values()), "gateways": gateways},
        lambda d: (
            f"{i['device']}  {i['org']}/{i['site']}  {i['place'] or '-'}  "
            + (f"behind {i['gateway']}" if "gateway" in i else f"{len(i['keys'])} key(s)")
            for i in d["items"]
        ),
    )


@command.command(name="show")
@data_options
@click.argument("device")
def show_(data: Data, device: str) -> None:
    """What the ledger says about one device: enrolment, keys, state."""
    from coldchain.db import queries_api
    from coldchain.db.queries_fittings import fittings_of
    from coldchain.services.moments import rfc3339_or_none

    with data.core() as core:
        core.catch_up_if_alone()
        keys, maps = core.registry.keys_of(device), core.registry.sources.versions(device)
        if not keys and not maps:
            fail(f"device {device!r} is not enrolled")
        with core.engine.connect() as connection:
            row = queries_api.device_row(connection, device)
            probes = queries_api.probes(connection, [row.device_no]).get(row.device_no, [])
            fitted = fittings_of(connection, [row.device_no]).get(row.device_no, ())
    document = {
        "device": device,
        "keys": [{**key.stated, "revoked_at": key.revoked_at} for key in keys],
        "mappings": [core.registry.stated_maps[version.key] for version in maps],
        "boot": row.boot,
        "seq": row.seq,
        "last_sampled_at": rfc3339_or_none(row.last_us),
        "last_received_at": rfc3339_or_none(row.at_us),
        "battery": row.battery,
        "fittings": [_fitting(one) for one in fitted],
        "probes": [{"channel": one.channel, "state": one.state, "last_mc": one.last_mc} for one in probes],
    }
    data.show(document)


def _fitting(one: Any) -> dict[str, Any]:
    from coldchain.domain.fittings import last_day
    from coldchain.services.moments import rfc3339

    certificate, until_us = one.calibration or ("", None)
    return {
        "from": rfc3339(one.from_us),
        "probes": dict(one.probes),
        "controller": one.controller,
        "certificate": certificate,
        "certified_to": None if until_us is None else last_day(until_us),
    }


@command.command()
@data_options
@click.argument("device")
@click.option(
    "--public-key", required=True, type=click.Path(path_type=Path, dir_okay=False), help="PEM of the new key."
)
def rotate(data: Data, device: str, public_key: Path) -> None:
    """Give a device a further key. The old one stays good until it is revoked."""
    from coldchain.bootstrap.enrol import read_public_key
    from coldchain.services.identity import rotate as rotation

    alg, spki = read_public_key(public_key)
    with data.core() as core:
        kid, draft = rotation(core.registry, core.log.origin, device, alg, spki)
        (outcome,) = core.log.append([draft])
    data.show({"device": device, "kid": kid, "index": outcome.index})


@command.command()
@data_options
@click.argument("device")
@click.option("--kid", help="Revoke this key alone (default: every key of the device, and its broker account).")
def revoke(data: Data, device: str, kid: str | None) -> None:
    """Revoke a device's keys and cut its broker account."""
    from coldchain.bootstrap.enrol import revoke_device

    with data.core() as core:
        data.show(revoke_device(core, device, kid))


for other in (device_gateways.gateway, device_gateways.close, device_gateways.sources, device_gateways.map_, summary):
    command.add_command(other)
