"""`coldchain simulate`: a scenario's devices against a server, or against the directory alone."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from coldchain_devices.plan import Paper
from coldchain_devices.scenario import load_scenario
from coldchain_ledger.entry import Entry, parse_entry
from coldchain_ledger.errors import StoreError
from e2e.serving import COLDCHAIN, Server, run, stored_entries
from integration.scenario_head import HEAD

ONE_ROOM = (
    HEAD
    + """
name = "room"
hours = 1
message_s = 1
sample_s = 1
vehicle = []
sensor = [{ id = "w1-ctl", org = "polar", site = "w1", place = "room:w1/a", kind = "room", probes = ["north"] }]
"""
)


@pytest.fixture
def server(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Server]:
    running = Server(tmp_path / "data", free_port(), free_port())
    running.start()
    yield running
    running.close()


def simulate(directory: Path, *options: str, expect: int = 0) -> dict[str, object]:
    return run("simulate", "--dir", str(directory), *options, expect=expect)


def entries(directory: Path) -> list[Entry]:
    return [parse_entry(data) for data in stored_entries(directory)]


def sent_by_devices(directory: Path) -> list[Entry]:
    return [entry for entry in entries(directory) if entry.key.startswith("tm/")]


def sampled_s(entry: Entry) -> float:
    """The first time a telemetry message speaks of."""
    from coldchain.decoders.jws import parse_envelope

    return float(json.loads(parse_envelope(entry.payload).body)[0]["bt"])


def test_a_history_ends_now_and_every_action_of_it_is_recorded(tmp_path: Path) -> None:
    directory = tmp_path / "data"

    document = simulate(directory)

    seconds = document.pop("seconds")
    assert isinstance(seconds, float)
    recorded = entries(directory)
    assert document == {
        "scenario": "smoke",
        "seed": 1,
        "messages": len(sent_by_devices(directory)),
        "captures": sum(entry.key.startswith("ev/") for entry in recorded),
        "papers": 0,
    }
    times = [sampled_s(entry) for entry in recorded if entry.kind == "telemetry"]
    assert 7100 < time.time() - min(times) < 7260
    assert 0 < time.time() - max(times) < 360


def test_beside_a_server_the_devices_go_through_its_broker_and_doctor_finds_all_well(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    server = Server(tmp_path / "data", free_port(), free_port())
    server.start()
    try:
        document = simulate(server.directory)

        recorded = sent_by_devices(server.directory)
        assert len(recorded) == document["messages"] > 0
        deadline = time.monotonic() + 20
        while True:
            with urlopen(f"{server.http}/healthz", timeout=10) as answer:
                health = json.load(answer)
            if health["lag"] == 0 and health["ledger_size"] >= len(recorded):
                break
            assert time.monotonic() < deadline, health
            time.sleep(0.1)
        said = {check["name"]: check["detail"] for check in run("doctor", "--dir", str(server.directory))["checks"]}
        assert said["server"] == f"runs at {server.http}, broker mqtt://127.0.0.1:{server.mqtt[1]}"
    finally:
        server.terminate()


BENT = (
    ONE_ROOM.replace("hours = 1", "hours = 0.5")
    + """
fault = [
  { kind = "duplicates", device = "w1-ctl", value = 1.0, from_h = 0.1, to_h = 0.125 },
  { kind = "shuffled", device = "w1-ctl", value = 60.0, from_h = 0.25, to_h = 0.3 },
  { kind = "replayed", device = "w1-ctl", from_h = 0.02, to_h = 0.45 },
  { kind = "forged", device = "w1-ctl", from_h = 0.35, to_h = 0.375 },
]
"""
)


def test_what_others_do_to_messages_on_their_way_happens_at_a_real_broker(server: Server, tmp_path: Path) -> None:
    (tmp_path / "bent.toml").write_text(BENT)

    document = simulate(server.directory, "--scenario", str(tmp_path / "bent.toml"))

    assert document["messages"] == 180
    assert server.counted() == {
        "added": 180,
        "duplicate": 9 + 18 + 1,  # of the shuffled ones the device hears when it is back
        "refused:bad-signature": 9,
    }
    keys = [entry.key for entry in sent_by_devices(server.directory)]
    seqs = [int(key.rpartition("/")[2]) for key in keys]
    assert sorted(seqs) == list(range(180))
    assert seqs != sorted(seqs)
    refused = run("rejects", "--dir", str(server.directory))["items"]
    assert {(one["device"], one["reason"]) for one in refused} == {("w1-ctl", "bad-signature")}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "room.toml").write_text(ONE_ROOM)
    words = [COLDCHAIN, "simulate", "--live", "--scenario", tmp_path / "room.toml", "--dir", tmp_path / "data"]
    command = ["env", "--default-signal=INT", *map(str, words), "--json"]  # a shell's background jobs ignore it
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_live_begins_now_and_ends_with_ctrl_c(
    live: subprocess.Popen[str], tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    since = time.time()
    wait_for(lambda: has_telemetry(tmp_path / "data") or live.poll() is not None, timeout_s=60)

    live.send_signal(signal.SIGINT)
    out, _ = live.communicate(timeout=90)

    recorded = sent_by_devices(tmp_path / "data")
    assert live.returncode == 0
    assert json.loads(out)["messages"] == len(recorded) > 0
    assert min(map(sampled_s, recorded)) > since - 1


def has_telemetry(directory: Path) -> bool:
    try:
        return (directory / "coldchain.db").exists() and bool(sent_by_devices(directory))
    except StoreError:  # no table or no log yet
        return False


def test_the_same_devices_go_on_with_a_new_boot_and_keys_of_another_seed_are_refused(tmp_path: Path) -> None:
    (tmp_path / "room.toml").write_text(ONE_ROOM.replace("hours = 1", "hours = 0.001"))
    directory, scenario = tmp_path / "data", ("--scenario", str(tmp_path / "room.toml"))
    simulate(directory, *scenario)

    simulate(directory, *scenario)

    assert {entry.key.split("/")[2] for entry in sent_by_devices(directory)} == {"1", "2"}
    size = len(entries(directory))
    simulate(directory, *scenario, "--seed", "4", expect=2)
    assert len(entries(directory)) == size


def test_papers_are_recorded_once_and_a_second_run_is_refused_before_it_begins(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    claim = next(a for a in load_scenario("demo").generate().actions if isinstance(a, Paper))
    (tmp_path / "claim.json").write_bytes(claim.payload)
    run("migrate", "--dir", str(directory))
    run("import", str(tmp_path / "claim.json"), "--org", claim.org, "--dir", str(directory))
    size = len(entries(directory))

    simulate(directory, "--scenario", "demo", expect=2)

    assert len(entries(directory)) == size


def test_a_scenario_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [COLDCHAIN, "simulate", "--scenario", "nosuch", "--dir", tmp_path], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "coldchain: no scenario nosuch: a .toml file or one of demo, smoke\n"
