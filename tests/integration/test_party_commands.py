"""`coldchain party`, `token` and `ask --link` on a data directory, as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from coldchain.bootstrap.core import open_core
from coldchain.cli import group
from coldchain.settings import load_settings


class Commands:
    """Runs commands on one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, line: str, exit_code: int = 0) -> Any:
        """The JSON answer, or what stands on stderr where the command fails."""
        result = CliRunner().invoke(group, [*line.split(), "--dir", str(self.directory), "--json"])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            return str(result.exception)
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout) if exit_code == 0 else result.stderr


@pytest.fixture
def run(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "d")


def test_a_new_installation_registers_its_parties_and_gives_one_a_token(run: Commands) -> None:
    polar = run("party org add --id polar --role warehouse --uscc 91350100M000100Y43 --name loc:6901234500011")
    assert (polar["n"], polar["stated"]["uscc"]) == (1, "91350100M000100Y43")
    run("party org add --id haul --role carrier")
    site = run("party site add --id w1 --org polar --use cold-store --fence 36.0671,120.3826,400 --from 2026-01-01")
    assert site["valid_from"] == "2026-01-01T00:00:00Z"
    assert (site["stated"]["lat_e7"], site["stated"]["radius_m"]) == (360_671_000, 400)
    run("party room add --id w1/a")
    run("device gateway --org polar --site w1 --id gw --format senml")
    run("device map d1 --gateway gw --source probe")
    run("party mount add --id d1 --place room:w1/a --from 2026-03-02T08:00:00+08:00")
    run("party agent add --org polar --agent haul --until 2027-01-01")
    assert [item["id"] for item in run("party org list")["items"]] == ["haul", "polar"]
    assert run("party mount show d1")["versions"][0]["valid_from"] == "2026-03-02T00:00:00Z"
    assert run("party agent show polar/haul")["versions"][0]["stated"]["to_us"] == 1_798_761_600_000_000

    made = run("token create --org polar --role warehouse --scope read --days 30")
    (listed,) = run("token list")["items"]
    assert listed == {name: value for name, value in made.items() if name != "token"}
    assert run(f"token revoke {made['id']}") == {"revoked": made["id"]}
    assert run("token list")["items"][0]["revoked_at"] is not None
    assert made["id"] in run(f"token revoke {made['id']}", 2)


def test_a_plate_is_in_no_entry_and_gone_once_erased(run: Commands) -> None:
    run("party org add --id haul --role carrier")
    vehicle = run("party vehicle add --id T1 --org haul --kind trailer --plate 沪A12345")
    assert run("party vehicle show T1")["plate"] == "沪A12345"
    with open_core(load_settings(dir=run.directory)) as core, core.store.snapshot() as snapshot:
        edge = snapshot.edge()
        assert edge is not None
        assert all("沪A12345".encode() not in data for data in snapshot.entries(0, edge.size))
    digest = vehicle["stated"]["plate"]
    assert run(f"party erase {digest}") == {"erased": digest}
    assert run("party vehicle show T1")["plate"] is None
    assert "nothing is sealed" in run(f"party erase {digest}", 2)


def test_a_drivers_name_is_sealed_for_an_event_and_opened_again(run: Commands) -> None:
    first, second = run("party seal 老王")["digest"], run("party seal 老王")["digest"]
    assert first != second, "a digest tells nobody that two names are the same"
    assert run(f"party open {first}") == {"digest": first, "value": "老王"}
    run(f"party erase {first}")
    assert "erased" in run(f"party open {first}", 2)
    assert run(f"party open {second}")["value"] == "老王"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("party site add --id w1 --org nobody", "'nobody' is not registered"),
        ("party org add --id a --role king", "found 'king'"),
        ("party org add --id a --role carrier --from yesterday", "expected 2026-03-02"),
        ("token create --org nobody --role carrier", "not registered"),
    ],
)
def test_what_cannot_be_registered_is_told(run: Commands, line: str, said: str) -> None:
    run("party org add --id polar --role warehouse")
    assert said in run(line, 2)


def test_nothing_is_known_of_what_nobody_registered(run: Commands) -> None:
    run("party org add --id polar --role warehouse")
    assert "is not registered" in run("party site show w1", 2)
    assert "--fence" in run("party site add --id w1 --org polar --fence here", 2)
    assert "no event" in run("party rule " + "0" * 32 + " --org polar --role warehouse", 2)
    assert "no finding" in run("ask " + "0" * 32 + " --link polar", 2)
