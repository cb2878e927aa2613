"""Gateways and what is behind them, by the commands an operator types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from coldchain.bootstrap.core import open_core
from coldchain.cli import group
from coldchain.services.messages import Inbound
from coldchain.settings import load_settings
from coldchain_ledger.log import Draft


def run(*words: str, fails: bool = False) -> Any:
    result = CliRunner().invoke(group, [*words], catch_exceptions=not fails)
    assert (result.exit_code != 0) == fails, result.output
    return result.output if fails else json.loads(result.stdout)


def test_a_source_is_seen_mapped_and_judged(tmp_path: Path) -> None:
    data = ("--dir", str(tmp_path / "data"), "--json")
    gateway = ("device", "gateway", "--org", "acme", "--site", "fleet", "--id", "gw-1")
    answer = run(*gateway, "--format", "thingsboard", *data)
    assert (answer["topic"], answer["username"]) == ("cc/v1/acme/fleet/gw-1/up", "acme/fleet/gw-1")
    again = run(*gateway, "--format", "thingsboard", *data)
    assert again["password"] != answer["password"]

    payload = b'{"Reefer 7":[{"ts":1772400000000,"values":{"T1":65351,"door":"open"}}]}'
    with open_core(load_settings(dir=tmp_path / "data")) as core:
        (reply,) = core.admission.admit([Inbound(answer["topic"], payload)])
        assert reply is not None
        assert reply.kind == "ack"

    (source,) = run("device", "sources", "gw-1", *data)["items"]
    assert source == {"source": "Reefer 7", "device": None, "messages": 1, "last": {"T1": "65351", "door": "open"}}
    behind = ("device", "map", "REEFER-7", "--gateway", "gw-1", "--source", "Reefer 7", "--place", "veh:T7")
    channels = ("--channel", "T1=temp/air,unit=Cel,scale=0.1,bits=16", "--channel", "door=door/rear,true=open")
    first = run(*behind, *channels, *data)
    assert (first["n"], first["channels"]) == (1, {"T1": "temp/air", "door": "door/rear"})
    assert run(*behind, *channels, *data)["index"] == first["index"]

    shown = run("device", "show", "REEFER-7", *data)
    assert shown["probes"] == [{"channel": "air", "state": "unknown", "last_mc": -18_500}]
    listed = run("device", "list", *data)
    assert [(one["device"], one["gateway"], one["source"]) for one in listed["items"]] == [
        ("REEFER-7", "gw-1", "Reefer 7")
    ]
    assert [one["gateway"] for one in listed["gateways"]] == ["gw-1"]

    later = run("device", "map", "REEFER-7", "--place", "veh:T8", *data)
    assert (later["n"], later["channels"]) == (2, first["channels"])
    assert run("device", "close", "gw-1", *data) == {"gateway": "gw-1", "closed": True}
    assert run("device", "list", *data)["gateways"][0]["closed"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("gateway", "--org", "a", "--site", "s", "--id", "g", "--format", "modbus"), "modbus"),
        (("map", "D", "--gateway", "nobody", "--source", "s"), "not registered"),
        (("close", "nobody"), "nobody"),
        (("sources", "nobody"), "nobody"),
        (("map", "D", "--channel", "T=temp/air,factor=2"), "factor=2"),
    ],
)
def test_an_order_that_cannot_be_carried_out_says_why(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    data = ("--dir", str(tmp_path / "data"))
    run("migrate", *data, "--json")
    result = CliRunner().invoke(group, ["device", *words, *data])
    assert result.exit_code != 0
    assert told in result.output + str(result.exception)


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("T=temp/air,unit=V", "'T': unit of temp/air: expected one of Cel, °C, K, degF, °F, which scale and offset"),
        ("T=setpoint,unit=cel", "'T': unit of setpoint: expected one of Cel, "),
        ("H=rh/air,unit=Cel", "'H': unit of rh/air: expected one of %RH, %, "),
        ("W=weight,unit=lb", "'W': unit of weight: expected one of kg, "),
        ("D=door/rear,unit=Cel", "'D': unit of door/rear: expected no unit: a state"),
    ],
)
def test_a_unit_that_its_quantity_cannot_be_converted_from_is_refused_before_a_sensor_is_blamed_for_it(
    tmp_path: Path, channel: str, told: str
) -> None:
    data = ("--dir", str(tmp_path / "data"))
    run("device", "gateway", "--org", "a", "--site", "s", "--id", "gw", "--format", "senml", *data, "--json")
    behind = ("device", "map", "D", "--gateway", "gw", "--source", "s")
    result = CliRunner().invoke(group, [*behind, "--channel", channel, *data])
    assert told in str(result.exception)
    assert repr(channel.rpartition("=")[2]) in str(result.exception)
    good = ("T=temp/air,unit=degF,scale=0.1", "H=rh/air,unit=%RH", "W=weight,unit=kg", "X=x/other,unit=V")
    version = run(*behind, *(word for one in good for word in ("--channel", one)), *data, "--json")
    assert version["n"] == 1, "nothing was recorded before"


def test_a_unit_recorded_before_it_was_checked_stays_a_fact_and_binds_no_later_order(tmp_path: Path) -> None:
    data = ("--dir", str(tmp_path / "data"), "--json")
    run("device", "gateway", "--org", "a", "--site", "s", "--id", "gw", "--format", "senml", *data)
    run("device", "map", "D", "--gateway", "gw", "--source", "s", "--channel", "T=temp/air,unit=K", *data)
    with open_core(load_settings(dir=tmp_path / "data")) as core:
        stated = core.registry.stated_maps["identity/mapping/D/1"]
        body = {**stated, "n": 2, "from_us": 1, "channels": [{"raw": "T", "name": "temp/air", "unit": "V"}]}
        payload = json.dumps(body).encode()
        core.record(Draft("identity", "x", "application/json", "identity/mapping/D/2", "declared", ("dev:D",), payload))
    assert run("device", "map", "D", "--place", "veh:T8", *data)["n"] == 3
