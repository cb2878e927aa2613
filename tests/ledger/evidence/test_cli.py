"""`coldchain-verify` as an inspector runs it: files, exit codes, and an installation of its own."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from coldchain_ledger import cli
from coldchain_ledger.evidence import save_dossier
from coldchain_ledger.log import Draft, Log, create_log
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.note import Ed25519Signer

LEDGER = Path(__file__).parents[3] / "ledger"
SIGNER = Ed25519Signer.generate("log.example/cold")


@pytest.fixture
def files(tmp_path, truck):
    """A dossier, a receipt with its entry, and policies, as files in one folder."""
    store = MemoryStore()
    create_log(store, [SIGNER])
    log = Log(store, [SIGNER], clock=lambda: 1_700_000_000_000_000)
    paper = Draft("document", "进口商", "text/plain", "doc/1", "declared", ("lot:进口/1",), b"paper")
    log.append([truck.enrolment(), truck.say(), paper])
    with store.snapshot() as snapshot:
        save_dossier(snapshot, [1, 2], tmp_path / "case.jsonl")
        (tmp_path / "entry").write_bytes(snapshot.entry(2))
    (tmp_path / "receipt").write_bytes(log.receipt(2))
    (tmp_path / "policy").write_text(f"log {SIGNER.vkey()}\nquorum none\n")
    (tmp_path / "nobody").write_text("quorum none\n")
    broken = bytearray((tmp_path / "case.jsonl").read_bytes())
    broken[broken.index(b'"index":2') - 9] ^= 1  # inside the entry before it in the line
    (tmp_path / "broken.jsonl").write_bytes(broken)
    return tmp_path


@pytest.fixture
def run(files, monkeypatch, capsys):
    """Run the command in the folder of `files`; returns exit code, output, error output."""

    def command(*arguments):
        monkeypatch.chdir(files)
        try:
            code = cli.main(arguments)
        except SystemExit as exc:  # argparse
            code = exc.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_a_sound_dossier_exits_0_and_lists_nine_numbered_steps(run):
    for trust in (("--log-vkey", SIGNER.vkey()), ("--policy", "policy")):
        code, out, _ = run("case.jsonl", *trust)
        assert code == 0
        assert [line.split()[1] for line in out.splitlines() if line[:4] == "ok  "] == ["1", "2", "3", "5", "6"]
        assert [line[5:6] for line in out.splitlines()[:9]] == list("123456789")
        assert out.splitlines()[-1] == "verified"


def test_a_broken_dossier_exits_1_and_says_where(run):
    code, out, _ = run("broken.jsonl", "--log-vkey", SIGNER.vkey())
    assert code == 1
    assert "failed at entry 2" in out
    assert out.endswith("broken\n")
    assert run("broken.jsonl")[0] == 1


def test_without_a_key_it_exits_3_and_says_what_is_missing(run):
    code, out, _ = run("case.jsonl")
    assert (code, out.splitlines()[-1]) == (3, "could not check")
    assert "--log-vkey" in out


def test_a_receipt_is_checked_against_its_entry(run):
    key = ("--log-vkey", SIGNER.vkey())
    assert run("receipt", "--entry", "entry", *key)[0] == 0
    assert run("receipt", *key)[0] == 3
    assert run("receipt", "--entry", "entry")[0] == 3
    assert run("receipt", "--entry", "policy", *key)[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("case.jsonl", "--unknown"),
        ("missing.jsonl", "--policy", "policy"),
        (".", "--policy", "policy"),
        ("case.jsonl", "--policy", "missing"),
        ("case.jsonl", "--policy", "case.jsonl"),
        ("case.jsonl", "--policy", "nobody"),
        ("case.jsonl", "--log-vkey", "nonsense"),
        ("case.jsonl", "--log-vkey", ""),
        ("case.jsonl", "--policy", "policy", "--log-vkey", SIGNER.vkey()),
        ("case.jsonl", "--entry", "entry"),
        ("receipt", "--entry", "missing"),
    ],
)
def test_what_the_user_got_wrong_exits_2_with_one_message(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "coldchain-verify: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [("case.jsonl", "--nonsense"), ("missing.jsonl",), (), ("case.jsonl", "--policy", "nobody")]
)
def test_with_json_what_the_user_got_wrong_is_one_document_as_well(run, arguments):
    code, out, err = run(*arguments, "--json")
    error = json.loads(out)["error"]
    assert (code, error["code"]) == (2, 2)
    assert error["message"] in err


def test_json_output_says_the_same_for_programs(run):
    code, out, _ = run("broken.jsonl", "--json")
    report = json.loads(out)
    assert (report["exit"], report["result"]) == (code, "broken")
    assert [step["step"] for step in report["steps"]] == list(range(1, 10))
    first = report["steps"][0]
    assert (first["name"], first["status"], first["where"]) == ("parse", "failed", "entry 2")


def test_a_forged_file_cannot_send_commands_to_the_terminal(run, files):
    (files / "forged").write_bytes(b'{"checkpoint":"\\u009b2J"}\n')
    (files / "evil").write_bytes(b"c2sp.org/tlog-proof@v1\nindex \x1b[2J\n\nnote")
    for name in ("forged", "evil"):
        code, out, _ = run(name)
        assert code == 1
        assert all(c.isprintable() or c == "\n" for c in out)


def test_text_a_terminal_cannot_show_is_escaped(files):
    command = [sys.executable, "-m", "coldchain_ledger.cli", "case.jsonl", "--policy", "策略"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(LEDGER)}
    done = subprocess.run(command, cwd=files, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert r"\u7b56\u7565" in done.stderr


def test_help_loads_no_cryptography():
    loaded = "'cryptography' in sys.modules"
    code = f"import sys, coldchain_ledger.cli as cli\ntry: cli.main(['--help'])\nfinally: assert not {loaded}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_shows_the_help_as_it_is(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = run("--help")
    assert code == 0
    assert out in (LEDGER / "README.md").read_text()


def test_installed_alone_it_verifies_a_dossier(files):
    """`pip install ./ledger` in an empty environment is all an inspector does."""
    home = files / "inspector"
    venv.create(home, with_pip=True)
    programs = home / "bin"
    install = [programs / "pip", "install", "--disable-pip-version-check", "--retries", "0", "--timeout", "10", LEDGER]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if "No matching distribution" in done.stderr and os.environ.get("COLDCHAIN_REQUIRE_SERVICES") != "1":
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    command = [programs / "coldchain-verify", "case.jsonl", "--log-vkey", SIGNER.vkey()]
    checked = subprocess.run(command, cwd=files, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.endswith("verified\n")
    alone = [programs / "python", "-I", "-c", "import coldchain"]
    server = subprocess.run(alone, capture_output=True, check=False)
    assert server.returncode != 0
