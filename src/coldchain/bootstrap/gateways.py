"""Gateways and what is behind them: commands of the operator, recorded, and the accounts that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coldchain.bootstrap.brokers import Brokers
from coldchain.bootstrap.core import Core
from coldchain.bootstrap.enrol import let_in, stored
from coldchain.db.accounts import close_account, save_account
from coldchain.db.engine import writing
from coldchain.db.ledger_store import SqlSnapshot
from coldchain.db.queries_ledger import subjects_below
from coldchain.decoders.formats import NAMES
from coldchain.decoders.recorded import decode_recorded
from coldchain.domain.mappings import DeviceMap
from coldchain.domain.uplinks import source_name
from coldchain.mqtt.accounts import new_account
from coldchain.mqtt.files import locked
from coldchain.services.identity import CommandRefused
from coldchain.services.transport import gateway_order, map_order


def register_gateway(core: Core, org: str, site: str, device: str, form: str) -> tuple[dict[str, Any], str]:
    """The gateway is in the ledger and has a fresh account: how it connects, and why the broker that runs now does not
    let it in yet, "" where it does. Asked again it gets another password, and the ledger what is new.

    The account comes first: a crash between the two leaves an account whose messages nobody can attribute. Raises
    CommandRefused.
    """
    if form not in NAMES:
        raise CommandRefused(f"format {form!r}: expected one of {', '.join(NAMES)}")
    with locked(core.settings.dir / "enrol.lock"):
        core.refresh_registry()
        order = {"org": org, "site": site, "device": device, "format": form}
        version, draft = gateway_order(core.registry, core.log.origin, order)
        account, credentials = new_account("device", org, site, device)
        with writing(core.engine) as connection:
            save_account(connection, stored(account), core.clock())
        if draft is not None:
            core.record(draft)
            core.refresh_registry()
    brokers = Brokers(core.settings, core.engine)
    brokers.apply()
    document = {
        "gateway": device,
        "format": version.format,
        "topic": f"{version.topic_base}/up",
        "client_id": credentials.client_id,
        "username": credentials.username,
        "password": credentials.password,
    }
    return document, let_in(brokers, credentials)


def close_gateway(core: Core, device: str) -> dict[str, Any]:
    """Its account is closed, and what still comes in its name is refused. Raises CommandRefused where it is none."""
    core.refresh_registry()
    known = core.registry.gateway(device)
    if known is None:
        raise CommandRefused(f"gateway {device!r} is not registered")
    order = {"org": known.org, "site": known.site, "device": device, "format": known.format, "closed": True}
    _, draft = gateway_order(core.registry, core.log.origin, order)
    if draft is not None:
        core.record(draft)
        core.refresh_registry()
    with writing(core.engine) as connection:
        close_account(connection, f"{known.org}/{known.site}/{device}")
    Brokers(core.settings, core.engine).apply()
    return {"gateway": device, "closed": True}


def map_device(core: Core, stated: Mapping[str, Any]) -> tuple[DeviceMap, int]:
    """A version of a device's mapping is in the ledger; it, and the entry. What is not stated stays. Raises
    CommandRefused."""
    core.refresh_registry()
    version, draft = map_order(core.registry, core.log.origin, stated, core.clock())
    if draft is None:
        with core.store.snapshot() as snapshot:
            return version, snapshot.find([version.key])[version.key]
    outcome = core.record(draft)
    core.refresh_registry()
    return version, outcome.index


def sources_of(core: Core, gateway: str) -> list[dict[str, Any]]:
    """Every source that the gateway ever spoke of, mapped or not, with what it said last under raw names. Raises
    CommandRefused where it is none."""
    if core.registry.gateway(gateway) is None:
        raise CommandRefused(f"gateway {gateway!r} is not registered")
    with core.store.snapshot() as snapshot:
        named = subjects_below(snapshot.connection, source_name(gateway, "x").rpartition("/")[0] + "/")
        return [_source(core, snapshot, gateway, *row) for row in named]


def _source(core: Core, snapshot: SqlSnapshot, gateway: str, name: str, count: int, last: int) -> dict[str, Any]:
    recorded = decode_recorded(1, last, snapshot.entry(last))
    reports = recorded.uplink.reports if recorded.uplink is not None else ()
    said = [report for report in reports if source_name(gateway, report.source) == name]
    source = (said[0].source or gateway) if said else name.rpartition("/")[2]
    values = {raw.name: str(raw.value) for report in said for raw in report.readings}
    return {
        "source": source,
        "device": core.registry.sources.device(gateway, source),
        "messages": count,
        "last": values,
    }
