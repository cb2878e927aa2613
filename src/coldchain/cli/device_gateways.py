"""`coldchain device gateway|close|sources|map`: what sends without a signature, and what its raw names mean."""

from __future__ import annotations

from typing import Any

import click

from coldchain.cli.common import UNCHECKED, Data, data_options, fail, time_floor_us


@click.command()
@data_options
@click.option("--org", required=True, help="Organisation in whose name its payloads are recorded.")
@click.option("--site", required=True, help="Site or fleet it belongs to.")
@click.option("--id", "device", required=True, help="Its id, unique in the ledger: A-Z a-z 0-9 _ -.")
@click.option("--format", "form", required=True, help="senml, chirpstack, ttn, thingsboard, flespi, …")
def gateway(data: Data, org: str, site: str, device: str, form: str) -> None:
    """Register a gateway or vendor platform whose payloads are unsigned. Prints how it connects."""
    from coldchain.bootstrap.gateways import register_gateway

    with data.core(create=True) as core:
        document, obstacle = register_gateway(core, org, site, device, form)
    data.show(document)  # whatever the broker does: the password is told once
    if obstacle:
        fail(f"registered, but {obstacle}", UNCHECKED)


@click.command()
@data_options
@click.argument("gateway")
def close(data: Data, gateway: str) -> None:
    """Close a gateway: its account is cut, and what still comes in its name is refused."""
    from coldchain.bootstrap.gateways import close_gateway

    with data.core() as core:
        data.show(close_gateway(core, gateway))


@click.command()
@data_options
@click.argument("gateway")
def sources(data: Data, gateway: str) -> None:
    """What a gateway has spoken of: each source, its device if mapped, and what it said last under its raw names."""
    from coldchain.bootstrap.gateways import sources_of

    with data.core() as core:
        items = sources_of(core, gateway)
    data.show(
        {"items": items},
        lambda d: (
            f"{i['source']}  {i['device'] or 'not mapped'}  {i['messages']} message(s)  "
            + "  ".join(f"{name}={value}" for name, value in i["last"].items())
            for i in d["items"]
        ),
    )


@click.command(name="map")
@data_options
@click.argument("device")
@click.option("--gateway", help="Behind which gateway it is; once stated it stays.")
@click.option("--source", help="How the gateway calls it, e.g. its devEUI; once stated it stays.")
@click.option("--place", metavar="veh:ID|room:SITE/ID", help="Where it is mounted.")
@click.option("--profile", help="Rule pack for its temperatures, or `none`.  [default: CN-frozen]")
@click.option("--time-floor", metavar="DATE", help="Device times before it are not believed (default: the setting).")
@click.option("--from", "valid_from", metavar="TIME", help="From when it holds (default: now; the first: always).")
@click.option(
    "--channel",
    "channels",
    multiple=True,
    metavar="RAW=NAME,KEY=VALUE…",
    help="What a raw name means; keys: unit, scale, offset, bits, true. All of them, or none to keep those in force.",
)
def map_(
    data: Data,
    device: str,
    gateway: str | None,
    source: str | None,
    place: str | None,
    profile: str | None,
    time_floor: str | None,
    valid_from: str | None,
    channels: tuple[str, ...],
) -> None:
    """Say which device a source behind a gateway is, where it hangs, and what its raw names mean.

    A version of it is a ledger entry. It holds from --from on, so readings are judged by the mapping of their day; what
    was recorded before is read anew.
    """
    from coldchain.bootstrap.gateways import map_device
    from coldchain.cli.profiles import check_profile
    from coldchain.services.moments import moment_us, rfc3339

    settings = data.settings()
    with data.core() as core:
        check_profile(core, None if profile == "none" else profile)
        first = core.registry.sources.latest(device) is None
        floor = time_floor or (settings.time_floor if first else None)
        stated = {
            "device": device,
            "gateway": gateway,
            "source": source,
            "place": place,
            "profile": "" if profile == "none" else profile or ("CN-frozen" if first else None),
            "time_floor_us": time_floor_us(floor) if floor else None,
            "from_us": moment_us(valid_from) if valid_from else None,
            "channels": [_channel(text) for text in channels] or None,
        }
        version, index = map_device(core, stated)
    data.show(
        {
            "device": version.device,
            "n": version.n,
            "gateway": version.gateway,
            "source": version.source,
            "valid_from": rfc3339(version.from_us),
            "channels": {raw: channel.name for raw, channel in version.channels.items()},
            "index": index,
        }
    )


def _channel(text: str) -> dict[str, Any]:
    """RAW=NAME,unit=Cel,scale=0.1 as the entry states it; what it holds is checked there."""
    raw, _, rest = text.partition("=")
    name, *options = rest.split(",")
    channel: dict[str, Any] = {"raw": raw, "name": name}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key not in ("unit", "scale", "offset", "bits", "true"):
            fail(f"--channel {text!r}: {option!r}: expected unit=, scale=, offset=, bits= or true=")
        channel[key] = int(value) if key == "bits" and value.isdecimal() else value
    return channel
