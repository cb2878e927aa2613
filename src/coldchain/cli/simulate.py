"""`coldchain simulate`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from coldchain.cli.common import BROKEN, Data, data_options, fail

if TYPE_CHECKING:
    from coldchain.bootstrap.core import Core
    from coldchain.cli.playing import Player
    from coldchain_devices.outbox import Outbox
    from coldchain_devices.plan import Plan

SLICE_US = 3_600_000_000
"""History is handed over an hour at a time, so that the outbox stays small."""


@click.command()
@data_options
@click.option("--scenario", default="smoke", show_default=True, help="A scenario's name or TOML file.")
@click.option("--seed", type=int, help="Seed of the simulation (default: the scenario's).")
@click.option("--live", is_flag=True, help="In real time from now on, instead of a history that ends now.")
def command(data: Data, scenario: str, seed: int | None, live: bool) -> None:
    """Play a scenario's devices and systems against the server that runs on D; without one, into its ledger directly.

    The history ends now and is sent as fast as the ledger answers. With --live it begins now and takes as long as the
    scenario; Ctrl-C ends it early. Devices keep their place in D/devices, so a further run goes on with a new boot.
    """
    from coldchain.bootstrap.core import open_core
    from coldchain.cli.playing import settings_to_play

    since = time.monotonic()
    plan = _plan(scenario, seed, live)
    with open_core(settings_to_play(data), create=True) as core:
        _check_papers(core, plan)
        player, refused = _play(core, plan, live)
    document = {
        "scenario": plan.name,
        "seed": plan.seed,
        "messages": player.messages,
        "captures": player.captures,
        "papers": player.papers,
        "seconds": round(time.monotonic() - since, 1),
    }
    data.show(document, _lines)
    if refused:
        fail(f"{refused} messages were refused: `coldchain rejects` says why", BROKEN)


def _plan(scenario: str, seed: int | None, live: bool) -> Plan:
    from coldchain_devices.scenario import load_scenario

    loaded = load_scenario(scenario)
    start_s = time.time_ns() // 1_000_000_000
    if not live:
        start_s -= round(loaded.config.hours * 3600)
    return loaded.generate(seed, start_s * 1_000_000)


def _check_papers(core: Core, plan: Plan) -> None:
    """Papers carry numbers of their own: the same claim cannot be made again about another day."""
    from coldchain.db.queries_ledger import count_keys
    from coldchain_devices.plan import Paper

    keys = [action.key for action in plan.actions if isinstance(action, Paper)]
    with core.engine.connect() as connection:
        known = [key for key in keys if count_keys(connection, key)]
    if known:
        fail(f"this ledger holds {known[0]} of scenario {plan.name} already: play it into another directory")


def _play(core: Core, plan: Plan, live: bool) -> tuple[Player, int]:
    """The player once everything it sent is answered, and how many messages were refused."""
    from coldchain.cli.playing import Player, broker_of, devices_directory
    from coldchain.settings import parse_date_us
    from coldchain_devices.outbox import Outbox

    outbox = Outbox(devices_directory(core.settings.dir) / "outbox.db")
    try:
        before = _parked(outbox, plan)
        player = Player(core, plan, outbox)
        with broker_of(core) as broker, player.connected(broker, parse_date_us(core.settings.time_floor)):
            if live:
                with suppress(KeyboardInterrupt):
                    _play_live(player, plan)
            else:
                _play_history(player, plan)
            player.wait()
        return player, _parked(outbox, plan) - before
    finally:
        outbox.close()


def _play_history(player: Player, plan: Plan) -> None:
    after_us = plan.actions[-1].at_us + 1  # the last readings leave some minutes after they were taken
    for from_us in range(plan.start_us, after_us, SLICE_US):
        player.play(plan.slice(from_us, from_us + SLICE_US))
        player.wait()


def _play_live(player: Player, plan: Plan) -> None:
    for action in plan.actions:
        time.sleep(max(0, action.at_us - time.time_ns() // 1_000) / 1_000_000)
        player.play([action])


def _parked(outbox: Outbox, plan: Plan) -> int:
    return sum(len(outbox.parked(device.id)) for device in plan.devices)


def _lines(d: dict[str, Any]) -> Iterator[str]:
    yield f"✓ {d['scenario']}, seed {d['seed']}, in {d['seconds']} s"
    yield f"  {d['messages']} messages answered by the ledger, {d['captures']} captures, {d['papers']} papers"
