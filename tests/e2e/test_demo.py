"""The demo as a visitor runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from coldchain_devices.signer import DeviceKey
from coldchain_ledger.entry import parse_entry
from e2e.serving import COLDCHAIN, enrol, run, stored_entries

EVENTFUL = Path(__file__).parents[1] / "integration" / "eventful.toml"


def demo(directory: Path, *options: str) -> Any:
    return run("demo", "--dir", str(directory), "--seed", "20260302", "--no-serve", *options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    directory = tmp_path_factory.mktemp("demo") / "data"
    return directory, demo(directory)


def found(document: Any) -> set[tuple[str, ...]]:
    return {(f["rule"], f["subject"], f["channel"], f["from"], f["to"], f["verdict"]) for f in document["findings"]}


def messages(directory: Path) -> set[tuple[str, bytes]]:
    entries = map(parse_entry, stored_entries(directory))
    return {(entry.key, entry.payload) for entry in entries if entry.type == "application/jose"}


def test_what_happened_is_found_and_nobody_else_is_accused(finished: tuple[Path, Any]) -> None:
    _, document = finished
    by_code = {}
    for finding in document["findings"]:
        by_code.setdefault(finding["rule"].split()[0], []).append((finding["subject"], finding["verdict"]))
    assert set(by_code) == {"CN-frozen", "P2", "B5"}
    assert set(by_code["CN-frozen"]) == {("dev:truck-1-gw", "breach")}, (
        "the door left open; truck 2's flood is no breach"
    )
    assert sorted(by_code["B5"]) == [("veh:TRUCK-1", "UNOBSERVED"), ("veh:TRUCK-2", "BROKEN_AUTHORISED")]
    assert sorted(by_code["P2"]) == [
        ("sscc:169012340000000013", "BROKEN_UNEXPLAINED"),
        ("sscc:169012340000000020", "BROKEN_UNEXPLAINED"),
        ("sscc:169012340000000112", "BROKEN_AUTHORISED"),
    ]


def test_goods_are_decided_on_the_probe_in_the_carton_where_there_is_one(finished: tuple[Path, Any]) -> None:
    directory, _ = finished
    exposure = run("inspect", "sscc:169012340000000013", "--dir", str(directory))["exposure"]
    decided = {(stay["place"].partition(":")[0], *stay["decided_on"]) for one in exposure for stay in one["stays"]}
    assert decided == {("veh", "product"), ("room", "air")}


def test_the_flood_is_told_and_misreads_accuse_nobody(finished: tuple[Path, Any]) -> None:
    _, document = finished
    (late,) = document["late"]
    assert late["device"] == "truck-2-gw"
    assert late["messages"] > 50
    assert ("2026-03-03T03:1" < late["from"] < late["to"] < late["received_from"]) is True
    assert document["misreads"]["missed"] > 0
    assert document["misreads"]["stray"] > 0
    assert document["misreads"]["accused"] == []


def test_the_document_keeps_its_contract(finished: tuple[Path, Any]) -> None:
    directory, document = finished
    assert {
        "seed", "messages", "readings", "entries", "rejected", "checkpoint", "log_vkey", "findings", "trace",
        "evidence", "verified", "seconds", "late", "misreads",
    } <= document.keys()  # fmt: skip
    assert document["verified"] is True
    assert document["rejected"] == 0
    assert document["messages"] > 5_000
    assert document["readings"] > 130_000
    for finding in document["findings"]:
        assert finding["entries"], f"{finding['rule']} rests on nothing"
        assert all(0 <= index < document["entries"] for index in finding["entries"])
    grades = {contact["grade"] for contact in document["trace"]["contacts"]}
    assert {"G1", "G2", "G3"} <= grades <= {"G1", "G2", "G3", "G4"}
    report = run("fsck", "--dir", str(directory))
    assert (report["ok"], report["entries"]) == (True, document["entries"])
    tables = run("rebuild", "--check", "--dir", str(directory))["tables"]
    assert all(one["before"] == one["after"] for one in tables.values())


def test_the_same_seed_gives_the_same_messages_and_findings(tmp_path: Path) -> None:
    once, again = (demo(tmp_path / name, "--scenario", str(EVENTFUL)) for name in ("once", "again"))
    assert messages(tmp_path / "again") == messages(tmp_path / "once") != set()
    assert found(again) == found(once) != set()


def test_another_seed_gives_other_messages(tmp_path: Path) -> None:
    sent = []
    for seed in (5, 6):
        directory = tmp_path / str(seed)
        smoke = run("demo", "--scenario", "smoke", "--no-serve", "--seed", str(seed), "--dir", str(directory))
        assert smoke["seed"] == seed
        sent.append(messages(directory))
    assert sent[0].isdisjoint(sent[1])


def test_an_edited_entry_is_named(finished: tuple[Path, Any]) -> None:
    directory, document = finished
    for index in (0, 1, document["entries"] // 2, document["entries"] - 1):
        told = run("demo", "--dir", str(directory), "--tamper", str(index))
        assert told["first_bad"]["index"] == index
    assert run("fsck", "--dir", str(directory))["ok"], "the demo itself is untouched"


def test_an_edited_entry_is_not_found_where_fsck_names_another(finished: tuple[Path, Any], tmp_path: Path) -> None:
    directory, _ = finished
    run("demo", "--dir", str(directory), "--tamper", "7")
    broken = shutil.copytree(directory / "tampered", tmp_path / "broken")
    shutil.copy(directory / "demo.json", broken)
    told = run("demo", "--dir", str(broken), "--tamper", "100", expect=1)
    assert (told["tampered"], told["found"], told["first_bad"]["index"]) == (100, False, 7)


def test_an_edited_entry_is_named_where_it_is_compressed_with_others(
    finished: tuple[Path, Any], tmp_path: Path
) -> None:
    directory, document = finished
    copy = tmp_path / "compact"
    shutil.copytree(directory, copy)
    told = run("compact", "--dir", str(copy), "--give-back")
    assert told["bundles"] >= 14
    assert (told["free_bytes"], told["bytes"] < 0.6 * (directory / "coldchain.db").stat().st_size) == (0, True)
    assert messages(copy) == messages(directory)
    for index in (0, 256 * told["bundles"] - 1, 256 * told["bundles"], document["entries"] - 1):
        assert run("demo", "--dir", str(copy), "--tamper", str(index))["first_bad"]["index"] == index
    assert run("fsck", "--dir", str(copy))["ok"]
    assert run("rebuild", "--check", "--dir", str(copy))


def test_an_entry_that_is_not_there_is_not_edited(finished: tuple[Path, Any]) -> None:
    directory, document = finished
    done = subprocess.run(
        [COLDCHAIN, "demo", "--dir", str(directory), "--tamper", str(document["entries"])],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2


def test_the_dossier_verifies_with_the_key_only(finished: tuple[Path, Any]) -> None:
    _, document = finished
    verify = [str(COLDCHAIN.with_name("coldchain-verify")), document["evidence"]]
    assert (
        subprocess.run([*verify, "--log-vkey", document["log_vkey"]], capture_output=True, check=False).returncode == 0
    )
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 3


def test_a_directory_that_is_not_a_demos_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    done = subprocess.run(
        [COLDCHAIN, "demo", "--dir", str(tmp_path), "--no-serve", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "irreplaceable"


def test_a_demo_in_which_somebody_enrolled_a_device_of_his_own_is_not_started_over(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    smoke = ("demo", "--scenario", "smoke", "--no-serve", "--dir", str(directory))
    first, second = run(*smoke), run(*smoke)
    assert first["entries"] == second["entries"]
    enrol(directory, DeviceKey.generate(), "truck-7")
    assert "'truck-7' was enrolled" in run(*smoke, expect=2)["error"]["message"]
    assert run("fsck", "--dir", str(directory))["entries"] > second["entries"]


def test_a_demo_is_started_over_where_its_directory_is_a_link_which_stays(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "d").symlink_to("volume")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "thesis.txt").write_text("irreplaceable")
    smoke = ("demo", "--scenario", "smoke", "--no-serve", "--dir", str(tmp_path / "d"))
    first = run(*smoke)
    (tmp_path / "d" / "papers").symlink_to(elsewhere)
    assert run(*smoke)["log_vkey"] != first["log_vkey"]
    assert (tmp_path / "d").is_symlink()
    assert not (tmp_path / "volume" / "papers").exists()
    assert (elsewhere / "thesis.txt").read_text() == "irreplaceable"


def test_a_database_that_holds_a_ledger_is_refused_and_keeps_its_key(tmp_path: Path) -> None:
    where = ("--dir", str(tmp_path / "d"), "--database", f"sqlite:///{tmp_path / 'other.db'}")
    smoke = ("demo", "--scenario", "smoke", "--no-serve", *where)
    entries = run(*smoke)["entries"]
    message = run(*smoke, expect=2)["error"]["message"]
    assert "other.db holds a ledger" in message
    assert run("fsck", *where)["entries"] == entries


def test_a_directory_that_the_environment_names_is_refused_as_well(tmp_path: Path) -> None:
    run("migrate", "--dir", str(tmp_path / "ours"))
    entries = run("fsck", "--dir", str(tmp_path / "ours"))["entries"]
    done = subprocess.run(
        [COLDCHAIN, "demo", "--no-serve", "--scenario", "smoke"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "COLDCHAIN_DIR": str(tmp_path / "ours")},
    )  # fmt: skip
    assert (done.returncode, "not empty" in done.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]
    assert run("fsck", "--dir", str(tmp_path / "ours"))["entries"] == entries


@contextmanager
def left_up(directory: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """(process, one-time link) of a demo whose page is up; ended with the test."""
    words = [COLDCHAIN, "demo", "--dir", directory, "--http", "127.0.0.1:0", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        printed = process.stderr if "--json" in options else process.stdout
        assert printed is not None
        try:
            yield process, next(line.strip() for line in printed if line.startswith("http://127.0.0.1:"))
        finally:
            process.kill()


def browser(link: str) -> httpx.Client:
    return httpx.Client(base_url=link.partition("/login")[0], headers={"accept": "text/html"})


def test_the_page_is_up_at_the_printed_address_and_shows_what_is_recorded_meanwhile(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    with left_up(directory, "--scenario", str(EVENTFUL)) as (process, link), browser(link) as visitor:
        assert visitor.get("/").status_code == 401
        assert visitor.get(link).status_code == 200
        assert "sscc:169012340000000013" in visitor.get("/").text
        assert httpx.get(link).status_code == 401, "the link is good once"
        assert httpx.get(run("token", "link", "--dir", str(directory))["link"]).status_code == 200

        (finding, *_) = run("finding", "list", "--dir", str(directory))["items"]
        page = f"/findings/{finding['id']}"
        said = {"comment": "called the dock", "seen": str(finding["index"])}
        assert visitor.post(f"{page}/acknowledgement", data=said).status_code == 303
        deadline = time.monotonic() + 20
        while "called the dock" not in visitor.get(page).text:
            assert time.monotonic() < deadline, "what is acknowledged shows"
            time.sleep(0.05)

        again = subprocess.run(
            [COLDCHAIN, "demo", "--dir", directory, "--no-serve"], capture_output=True, text=True, check=False
        )
        assert (again.returncode, "a demo or server runs on" in again.stderr) == (2, True)
        assert "called the dock" in visitor.get(page).text, "what is looked at stays"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        with pytest.raises(httpx.ConnectError):
            visitor.get("/")


def test_with_json_the_link_is_not_in_the_document(tmp_path: Path) -> None:
    with left_up(tmp_path / "d", "--scenario", "smoke", "--json") as (process, _):
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=20)
        assert json.loads(stdout)["verified"]


def test_a_taken_port_is_said_before_anything_is_played_or_removed(finished: tuple[Path, Any]) -> None:
    directory, document = finished
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [COLDCHAIN, "demo", "--dir", directory], capture_output=True, text=True, check=False,
            env={**os.environ, "COLDCHAIN_HTTP": address},
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert address in done.stderr
    assert "COLDCHAIN_HTTP" in done.stderr, "`make demo` takes no option"
    assert run("fsck", "--dir", str(directory))["entries"] == document["entries"]


def test_at_a_terminal_a_bar_says_how_far_it_is_and_is_no_part_of_the_answer(tmp_path: Path) -> None:
    terminal, its_end = os.openpty()
    words = [COLDCHAIN, "demo", "--scenario", "smoke", "--no-serve", "--dir", tmp_path / "d"]
    shown = b""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=its_end) as process:
        os.close(its_end)
        with suppress(OSError):  # the end of a terminal
            while part := os.read(terminal, 65_536):
                shown += part
        os.close(terminal)
        said, _ = process.communicate()
    assert (process.returncode, b"smoke: 2 simulated hours" in shown, b"100%" in shown) == (0, True, True)
    assert (b"simulated hours" in said, b"\x1b" in said) == (False, False)


def test_what_it_prints_can_be_pasted(tmp_path: Path) -> None:
    plain = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [COLDCHAIN, "demo", "--scenario", str(EVENTFUL), "--dir", str(tmp_path / "d"), "--no-serve"],
        capture_output=True, text=True, check=True, env=plain,
    )  # fmt: skip
    marked = {
        (line[0], line.split()[-1]) for line in done.stdout.splitlines() if line.endswith(("ED", "PENDING", "breach"))
    }
    assert marked == {("✓", "BROKEN_AUTHORISED"), ("!", "BROKEN_PENDING"), ("!", "UNOBSERVED"), ("!", "breach")}
    pasted = {
        line.split("  ")[0]: line.split("  ", 1)[1].strip()
        for line in done.stdout.splitlines()
        if line.startswith(("look ", "check ", "break "))
    }
    assert pasted.keys() == {"look", "check yourself", "break it"}
    for command in pasted.values():
        answer = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env=plain)
        assert (answer.returncode, "None" in answer.stdout) == (0, False)
    json.loads(subprocess.run(
        [COLDCHAIN, "rejects", "--dir", str(tmp_path / "d"), "--json"], capture_output=True, text=True, check=True
    ).stdout)  # fmt: skip
