"""The answers shown in docs/commands.md have the fields and types that the commands print."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from coldchain.bootstrap.core import open_core
from coldchain.cli import group
from coldchain.db.queries_events import verdicts
from coldchain.settings import load_settings
from coldchain_devices.replay import COLUMNS
from coldchain_devices.signer import DeviceKey
from e2e.serving import Server
from integration.receivers import WebhookReceiver, serving
from web.story import START, at, epcis

TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
FENCE = re.compile(r"^```(?P<info>[a-z ]*)\n(?P<body>.+?)^```", re.M | re.S)
OPEN = "…"
"""Stands in an example for further fields."""


def documented() -> Iterator[tuple[str, Any]]:
    """(command, example) of every answer; the claim and the decision to import under `json claim`, `json decision`."""
    usage = ""
    for fence in FENCE.finditer(TEXT):
        match fence["info"], fence["body"]:
            case "", body:
                usage = " ".join(itertools.takewhile(re.compile("[a-z]+").fullmatch, body.split()[1:]))
            case "json", body:
                yield usage, json.loads(body)
            case info, body:
                yield info, json.loads(body)


EXAMPLES: dict[str, list[Any]] = {}
for _command, _example in documented():
    EXAMPLES.setdefault(_command, []).append(_example)


def check(example: Any, actual: Any, where: str) -> None:
    """Same fields and types all the way down; null stands for any type, and a list's first item for all of them."""
    if example is None or actual is None:
        return
    if isinstance(example, dict):
        fields = example.keys() - {OPEN}
        assert fields <= actual.keys(), f"{where}: no longer says {sorted(fields - actual.keys())}"
        assert OPEN in example or fields == actual.keys(), f"{where}: undocumented {sorted(actual.keys() - fields)}"
        for name in fields:
            check(example[name], actual[name], f"{where}.{name}")
    elif isinstance(example, list):
        for one in actual if example else ():
            check(example[0], one, f"{where}[]")
    else:
        kinds = (int, float) if isinstance(example, float) else type(example)
        assert isinstance(actual, kinds), f"{where}: {type(example).__name__} in the document, {actual!r} found"


class Played:
    """A directory after two pallets swapped cases on the dock; nobody was asked about it yet."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def answer(self, *words: str, example: int = 0) -> Any:
        """Run it, hold its answer to the document, and give it back."""
        result = CliRunner().invoke(group, [*words, "--dir", str(self.directory), "--json"])
        assert result.exit_code == 0, (words, result.output, result.exception)
        answer = json.loads(result.stdout)
        name = next(name for name in EXAMPLES if " ".join(words).startswith(name))
        check(EXAMPLES[name][example], answer, name)
        return answer


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    smoke = (resources.files("coldchain_devices") / "scenarios" / "smoke.toml").read_text()
    room_portal = '  { id = "city-room-a", site = "city-store", point = "room-a", inside = "room" },\n]\nproduct'
    swapped = smoke.replace("]\nproduct", room_portal) + "swap = { pallets = [1, 2], cases = 3 }\n"
    path = tmp_path_factory.mktemp("scenario") / "swapped.toml"
    path.write_text(swapped.replace("hours = 2", "hours = 3"))
    return path


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, scenario: Path) -> Iterator[Played]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLDCHAIN_ASK_PARTIES", "false")
        yield Played(tmp_path_factory.mktemp("played"))


@pytest.fixture(scope="module")
def demo(played: Played, scenario: Path) -> Any:
    """What the demo said of it."""
    return played.answer("demo", "--no-serve", "--scenario", str(scenario))


def test_demo_and_what_is_derived_from_it(played: Played, demo: Any) -> None:
    broken = next(one for one in demo["findings"] if one["rule"].startswith("P2"))
    assert demo["trace"]["contacts"]

    assert played.answer("inspect", broken["subject"])["verdicts"]
    assert played.answer("trace", broken["detail"]["extra"][0])["contacts"]
    assert played.answer("report", "veh:TRUCK-1", "--out", str(played.directory / "trip.pdf"))["entry"]
    played.answer("evidence", broken["id"])
    assert played.answer("finding", "list")["items"]
    played.answer("finding", "ack", broken["id"], "--comment", "the dock was called")
    assert played.answer("finding", "show", broken["id"])["acknowledgements"]
    played.answer("ask", broken["id"])
    played.answer("demo", "--tamper", "5", example=1)
    played.answer("rebuild", "--check")


def test_rules_as_files(played: Played, demo: Any, tmp_path: Path) -> None:
    shipped = resources.files("coldchain") / "rules" / "cn-frozen-1.toml"
    stricter = tmp_path / "stricter.toml"
    stricter.write_text(shipped.read_text().replace("version = 1", "version = 2").replace("-18000", "-21000"))
    played.answer("rules", "check", str(stricter))
    assert played.answer("rules", "test", str(shipped))["failed"] == []
    assert played.answer("rules", "diff", "CN-frozen", str(stricter))["items"]
    assert played.answer("rules", "dry-run", str(stricter))["changes"]
    played.answer("rules", "record", str(stricter))


def test_the_ledger_and_the_directory(played: Played, demo: Any, tmp_path: Path) -> None:
    note = tmp_path / "old.note"
    note.write_text(played.answer("log", "checkpoint")["checkpoint"])
    played.answer("log", "key")
    played.answer("log", "receipt", "3")
    assert played.answer("export", "parquet", "--out", str(tmp_path / "lake"))["rows"]["readings"]
    played.answer("compact")
    played.answer("fsck")
    played.answer("audit", "--since", str(note))
    played.answer("rules", "list")
    played.answer("rules", "show", "continuity-2026")
    played.answer("token", "show")
    played.answer("migrate")
    played.answer("doctor")
    played.answer("rejects")


def test_the_documents_shown_can_be_imported_and_again_are_duplicates(
    played: Played, demo: Any, tmp_path: Path
) -> None:
    both = tmp_path / "both.json"
    both.write_text(json.dumps([*EXAMPLES["json claim"], *EXAMPLES["json decision"]]))
    assert [one["status"] for one in played.answer("import", str(both), "--org", "acme")["items"]] == ["added"] * 2
    assert [one["status"] for one in played.answer("import", str(both), "--org", "acme")["items"]] == ["duplicate"] * 2


def test_a_sheet_made_of_a_template_is_imported_and_its_pallets_get_labels(
    played: Played, demo: Any, tmp_path: Path
) -> None:
    sheet = tmp_path / "stock.csv"
    names = played.answer("template", "stock-count", "--out", str(sheet))["headings"]
    said = {
        "Time": "2026-03-01",
        "Room": "room:w1/a",
        "Product": "shank",
        "Plant no.": "1974",
        "Lot": "L1",
        "Cases": "12",
    }
    with sheet.open("a") as file:
        file.write(",".join(said.get(name, "") for name in names))
    words = ["import", str(sheet), "--org", "acme", "--kind", "stock-count", "--dir", str(played.directory), "--json"]
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0, result.output
    check(EXAMPLES["json sheet"][0], json.loads(result.stdout), "import of a sheet")
    played.answer("label", "--org", "acme", "--out", str(tmp_path / "labels.pdf"))


def test_the_life_of_a_device(played: Played, demo: Any, tmp_path: Path) -> None:
    pem = tmp_path / "truck-7.pem"

    def new_key() -> str:
        public = load_der_public_key(DeviceKey.generate().public_spki())
        pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return str(pem)

    names = ("--org", "acme", "--site", "fleet", "--id", "truck-7", "--place", "veh:TRUCK-7")
    played.answer("device", "enrol", *names, "--public-key", new_key())
    played.answer("device", "list")
    played.answer("device", "show", "truck-7")
    assert played.answer("device", "show", "truck-1-gw")["probes"]
    assert played.answer("device", "summary", "truck-1-gw")["items"]
    played.answer("device", "rotate", "truck-7", "--public-key", new_key())
    assert played.answer("device", "revoke", "truck-7")["revoked"] == ["truck-7#1", "truck-7#2"]


def test_a_gateway_what_it_speaks_of_and_a_logger_behind_it(played: Played, demo: Any, tmp_path: Path) -> None:
    played.answer("device", "gateway", "--org", "acme", "--site", "desk", "--id", "desk-1", "--format", "senml")
    channels = ("--channel", "TempC_SHT=temp/box,unit=Cel", "--channel", "Door=door/rear")
    behind = ("--gateway", "desk-1", "--source", "SN 4711", "--place", "veh:T7")
    played.answer("device", "map", "LOGGER-7", *behind, *channels)
    file = tmp_path / "log.csv"
    file.write_text("Time,TempC_SHT,Door\n2026-03-02 00:00,-18.5,0\n2026-03-02 00:10,-18.4,0\n")
    assert played.answer("logger", str(file), "--device", "LOGGER-7", "--time", "Time")["rows"] == 2
    assert played.answer("device", "sources", "desk-1")["items"]
    played.answer("device", "close", "desk-1")


def test_parties_their_tokens_and_their_word(played: Played, demo: Any) -> None:
    uscc, name = ("--uscc", "91350100M000100Y43"), ("--name", "loc:6901234500011")
    played.answer("party", "org", "add", "--id", "polar", "--role", "warehouse", *uscc, *name)
    token = played.answer("token", "create", "--org", "polar", "--role", "warehouse")
    played.answer("token", "list")
    played.answer("token", "revoke", token["id"])
    with open_core(load_settings(dir=played.directory)) as core:
        core.register("site", {"id": "w9", "org": "polar", "from_us": 0})
        core.capture("thief", epcis(START, "ADD", "veh:T9", ["hu:thief/1"], readPoint=at("loc:w9/dock")))
        core.follower.catch_up()
        with core.engine.connect() as connection:
            (row,) = verdicts(connection, ["loc:w9/dock"], "parties")
    played.answer("party", "rule", row["channel"], "--org", "polar", "--role", "warehouse")
    played.answer("ask", demo["findings"][0]["id"], "--link", "polar", example=1)


def test_who_is_told_of_findings(played: Played, demo: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLDCHAIN_WEBHOOKS_PRIVATE", "true")
    receiver = WebhookReceiver()
    with serving(receiver.server):
        hours = ("--quiet", "22:00-06:00", "--zone", "Asia/Shanghai")
        secret = played.answer("notify", "add", "night-shift", "--webhook", receiver.address, *hours)["secret"]
        played.answer("notify", "test", "night-shift")
    assert len(receiver.told) == 1
    kept = tmp_path / "secret"
    kept.write_text("a secret of one's own making\n")
    words = ["notify", "add", "day-shift", "--webhook", receiver.address, "--secret-file", str(kept)]
    result = CliRunner().invoke(group, [*words, "--dir", str(played.directory)])
    assert (result.exit_code, "one's own" in result.output) == (0, False)
    listed = CliRunner().invoke(group, ["notify", "list", "--dir", str(played.directory)])
    assert "night-shift" in listed.output
    assert secret not in listed.output
    assert secret not in json.dumps(played.answer("notify", "list"))
    played.answer("notify", "retry", "night-shift")
    played.answer("notify", "remove", "night-shift")
    again = CliRunner().invoke(group, ["notify", "remove", "night-shift", "--dir", str(played.directory)])
    assert again.exit_code == 2


def test_simulate_and_replay(tmp_path: Path) -> None:
    fresh = Played(tmp_path / "data")
    fresh.answer("simulate")

    row = {"index": "1", "SXXJ number": "A", "Container": "C", "Date": "2016-05-01", "Time_UTC": "10:00:00"}
    lines = [COLUMNS, ["#"] * len(COLUMNS), [(row | {"Temperature": "-18.5"}).get(name, "NA") for name in COLUMNS]]
    recording = tmp_path / "log.csv"
    recording.write_text("".join(",".join(line) + "\n" for line in lines))
    assert fresh.answer("replay", str(recording))["admitted"] == 1


def test_a_server_that_is_ready_and_a_link_into_it(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with closing(Server(tmp_path / "data", free_port(), free_port(), "--json")) as server:
        line = server.start()
        Played(tmp_path / "data").answer("token", "link")
        server.terminate()
    check(EXAMPLES["serve"][0], json.loads(line), "serve")


def test_no_answer_is_shown_that_no_test_compares() -> None:
    compared = re.findall(r'answer\("(\w+)"(?:, "(\w+)")?(?:, "([a-z]+)")?', Path(__file__).read_text())
    called = {" ".join(filter(None, words)) for words in compared} | {"serve"}
    assert {command for command in EXAMPLES if not command.startswith("json ")} == called
