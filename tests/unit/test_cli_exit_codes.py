"""Every command with bad arguments and bad files: its exit code, one document, and a ledger that stays as it is.

0 ok, 1 broken, 2 usage, 3 could not check (docs/commands.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coldchain.bootstrap.core import open_core
from coldchain.cli import main
from coldchain.settings import load_settings
from coldchain_devices.replay import COLUMNS
from unit.test_cli_failures import LEAVES, ended, refused

SETUP = """
migrate
party org add --id polar --role warehouse
party site add --id w1 --org polar
device enrol --org o --site s --id d1 --public-key @used.pem
device enrol --org replay --site recording --id sxxj-q --public-key @played.pem --profile CN-frozen
device gateway --org o --site s --id gw --format senml
device map L1 --gateway gw --source L1 --channel T=temp/box
notify add shift --webhook http://127.0.0.1:9/
"""

FILES = {
    "empty": b"",
    "junk": bytes(range(256)) * 8,
    "junk.toml": b"\xff\xfe=",
    "obj.json": b"{}",
    "list.json": b"[1]",
    "deep.json": b"[" * 100_000,
    "doc.json": b'{"type":"EPCISDocument"}',
    "claim.json": b'{"doc":"nothing"}',
    "zip.xlsx": b"PK\x03\x04" + bytes(200),
    "text.csv": b"time,T\nmilk,1\n",
    "latin.csv": b"time,T\n1\xe9,2",
    "short": b"x\n",
    "log.csv": ",".join(COLUMNS).encode() + b"\n#\n0,Q,NONE,2016-08-08,14:39:36" + b",1" * 14 + b",,\n",
    "odd.pem": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
}

ENROL = "device enrol --org o --site s --id d2 --public-key @key.pem"
LOGGER = "logger @text.csv --device L1"
HOOK = "notify add x --webhook http://127.0.0.1/"
SITE = "party site add --id w2 --org polar"

USAGE = f"""
demo --scenario nope | no scenario nope
demo --scenario @junk.toml | cannot read scenario
demo --http nonsense | --http 'nonsense': expected HOST:PORT
serve --http nonsense | --http 'nonsense': expected HOST:PORT
serve --http 127.0.0.1:99999 | expected HOST:PORT
serve --http 127.0.0.1:0 --mqtt nonsense | --mqtt 'nonsense': expected HOST:PORT
simulate --scenario nope | no scenario nope
simulate --scenario @junk.toml | cannot read scenario
simulate --scenario @folder | no scenario
replay @missing | does not exist
replay @empty | not those of a tracker log
replay @junk | junk: expected text in UTF-8
replay @text.csv | not those of a tracker log
replay @log.csv --profile nope | 'nope'
replay @log.csv --profile none | --profile none: enrolled with another one, which stays, are sxxj-q (CN-frozen)
replay @log.csv --profile EU-quick-frozen | are sxxj-q (CN-frozen): leave the option out, or replay into another
{ENROL} --time-floor yesterday | --time-floor 'yesterday': expected a date
{ENROL} --place nowhere | place 'nowhere'
{ENROL} --calibration X:2026-02-30 | expected a date such as
{ENROL} --product-probe a~b | 'a b'
{ENROL} --profile nope | 'nope'
{ENROL} --request @junk | either --public-key PEM or --request
device enrol --org o --site s --id d2 | either --public-key PEM or --request
device enrol --org o~o --site s --id d2 --public-key @key.pem | 'o o'
device enrol --org o --site s --id gw --public-key @key.pem | 'gw' is a gateway
device enrol --org o --site s --id d2 --public-key @used.pem | enrolled as d1#1 already
device enrol --org o --site s --id d2 --public-key @odd.pem | expected a PEM public key
device enrol --org o --site s --id d2 --public-key @junk | expected a PEM public key
device enrol --org o --site s --id d2 --public-key @folder | is a directory
device enrol --org o --site s --id d2 --public-key @missing | expected a PEM public key
device enrol --org o --site s --id d2 --request @junk | not an enrolment request
device show nobody | device 'nobody' is not enrolled
device rotate nobody --public-key @key.pem | device 'nobody' is not enrolled
device rotate d1 --public-key @used.pem | enrolled as d1#1 already
device rotate d1 --public-key @junk | expected a PEM public key
device revoke nobody | device 'nobody' is not enrolled
device revoke d1 --kid d1#9 | no valid key 'd1#9'
device gateway --org o --site s --id d1 --format senml | signs its messages
device gateway --org o --site s --id g --format nope | format 'nope': expected one of
device close d1 | gateway 'd1' is not registered
device sources d1 | gateway 'd1' is not registered
device map d1 --gateway gw --source x | signs its messages itself
device map L1 --time-floor yesterday | --time-floor 'yesterday': expected a date
device map L1 --from yesterday | time 'yesterday'
device map L1 --channel T | name:
device map L1 --channel T=temp/box,bits=x | bits:
device map L1 --channel T=temp/box,unit=V | unit of temp/box
device map L1 --place x | place:
device summary nobody | device 'nobody' is not enrolled
import @missing --org o | does not exist
import @folder --org o | is a directory
import @empty --org o | needs --kind, or --map
import @obj.json --org o | expected
import @list.json --org o | expected objects, found int
import @deep.json --org o | not JSON
import @doc.json --org o | expected the standard EPCIS context
import @claim.json --org o | expected
import @text.csv --org o --kind nope | found 'nope'
import @text.csv --org o --kind tally | expected headings such as
import @empty --org o --kind tally | expected headings such as
import @junk --org o --kind tally | expected an XLSX file, or CSV
import @zip.xlsx --org o --kind tally | expected a readable XLSX file
import @text.csv --org o --map @junk.toml | expected TOML or JSON
import @text.csv --org o --map @deep.json | expected TOML or JSON
import @text.csv --org o --map @list.json | expected an object
logger @missing --device L1 --time time | does not exist
logger @junk --device L1 --time time | expected an XLSX file, or CSV
logger @zip.xlsx --device L1 --time time | expected a readable XLSX file
logger @latin.csv --device L1 --time time | expected an XLSX file, or CSV
logger @text.csv --device nobody --time time | device 'nobody' is not mapped
{LOGGER} | give --time for a table
{LOGGER} --time nope | no column is headed 'nope'
{LOGGER} --time time | A2: expected a time
{LOGGER} --time time --zone Mars/Base | --zone 'Mars/Base'
{LOGGER} --time T --time-format %Q | bad directive
{LOGGER} --least x --most 1 --from 2026-01-01 --to 2026-01-02 | 'x': expected degrees Celsius
{LOGGER} --least 1 --most 2 --from yesterday --to 2026-01-02 | time 'yesterday'
template nope --out @t.xlsx | found 'nope'
template tally --out @t.pdf | .xlsx or .csv
template tally --out @none/t.xlsx | there is no folder
template tally --out @folder | is a directory
label --out @l.pdf | expected either --org
label x --out @l.pdf | 'x' at character 0
label --org o --out @none/l.pdf | there is no folder
inspect nonsense | 'nonsense' at character 0
inspect sscc:1 | expected 18 digits
inspect sscc:169012345000000025 | named by no event
inspect veh:T1 --at yesterday | time 'yesterday'
inspect veh:T1 --as-of 99999 | as of 99999 entries
trace nonsense | 'nonsense' at character 0
trace sscc:169012345000000025 | named by no event
report nonsense | 'nonsense' at character 0
report dev:d1 | nothing was measured
report veh:T1 --from yesterday | time 'yesterday'
report dev:d1 --above x | expected degrees Celsius
report veh:T1 --out @x.doc | .pdf, .xlsx or .csv
report dev:d1 --out @none/x.pdf | there is no folder
ask nobody | 'nobody' is no open question
ask nobody --link polar | no finding 'nobody'
finding list --severity loud | 'loud'
finding show nobody | no finding 'nobody'
finding ack nobody --comment x | no finding 'nobody'
notify add x | either --webhook or --email
notify add two~words --webhook http://127.0.0.1/ | 'two words'
notify add x --webhook ftp://x | expected an http or https address
notify add x --email a@b.c | needs a mail server
notify add shift --webhook http://127.0.0.1/ | there is a channel 'shift'
{HOOK} --quiet 22 | quiet hours
{HOOK} --zone Mars/Base | zone 'Mars/Base'
{HOOK} --severity loud | severity 'loud'
{HOOK} --event boom | event 'boom'
{HOOK} --per-hour x | 'x' is not a valid integer
{HOOK} --secret-file @short | a secret of at least 20 characters
{HOOK} --secret-file @junk | expected text in UTF-8
notify test nobody | no channel 'nobody'
notify retry nobody | no channel 'nobody'
notify retry shift --id nothing | no message 'nothing'
notify remove nobody | no channel 'nobody'
export parquet --out @folder | is there already
export parquet --out @ex --from yesterday | time 'yesterday'
export parquet --out @ex --device nobody | no device 'nobody'
evidence nonsense | 'nonsense' at character 0
evidence sscc:169012345000000025 | named by no entry
evidence dev:d1 --out @none/e | there is no folder
fsck --policy @missing | does not exist
fsck --policy @junk | a policy is
fsck --policy @empty | exactly one quorum line
audit --since @missing | does not exist
audit --since @folder | is a directory
audit --since @junk | is no checkpoint
audit --since @empty | is no checkpoint
log receipt 9999 | no entry 9999
log receipt x | 'x' is not a valid integer
log receipt 0 --out @none/r | there is no folder
log receipt 0 --out @folder | is a directory
rejects --limit 0 | not in the range
rules show nope | no rule pack 'nope'
rules check @missing | does not exist
rules check @junk | can't decode
rules check @obj.json | name: expected a text
rules check @deep.json | lists within lists
rules test @obj.json | name: expected a text
rules diff nope nope | 'nope' is no file
rules dry-run @junk.toml | can't decode
rules dry-run @obj.json | name: expected a text
rules record @obj.json | name: expected a text
party org add --id a~b --role carrier | 'a b'
party org add --id a --role pirate | found 'pirate'
party org add --id a --role carrier --from yesterday | time 'yesterday'
party org show nobody | org 'nobody' is not registered
party site add --id w2 --org nobody | organisation 'nobody' is not registered
party site show nobody | site 'nobody' is not registered
{SITE} --use x | found 'x'
{SITE} --country XX | found 'XX'
{SITE} --fence x | --fence 'x'
{SITE} --fence 1e999999999,2,3 | --fence '1e999999999,2,3'
party vehicle add --id v --org polar --kind boat | found 'boat'
party vehicle show nobody | vehicle 'nobody' is not registered
party room add --id nowhere/a | site 'nowhere' is not registered
party room show nobody | room 'nobody' is not registered
party mount add --id d1 --place x | found 'x'
party mount add --id nobody --place veh:T1 | device 'nobody' is not enrolled
party mount show nobody | mount 'nobody' is not registered
party fitting add --id nobody --controller | device 'nobody' is not enrolled
party fitting add --id d1 --calibration x | expected CERT:DATE
party fitting show nobody | fitting 'nobody' is not registered
party agent add --org polar --agent nobody | organisation 'nobody' is not registered
party agent add --org polar --agent polar --until yesterday | time 'yesterday'
party agent show nobody | agent 'nobody' is not registered
party rule nobody --org polar --role warehouse | no event 'nobody'
party open x | nothing is sealed under 'x'
party erase x | nothing is sealed under 'x'
token create --org nobody --role carrier | organisation 'nobody' is not registered
token create --org polar --role carrier | registered as warehouse
token create --org polar --role warehouse --scope x | scope 'x'
token create --org polar --role warehouse --days 0 | found 0
token revoke nobody | no token 'nobody'
"""

UNCHECKED = """
notify test shift | Connection refused
token link | no server runs
"""
"""What was asked for cannot be said, though nothing is wrong with the asking."""

NOTHING_TO_MISTAKE = {
    "compact", "device list", "doctor", "log checkpoint", "log key", "migrate", "notify list", "party agent list",
    "party fitting list", "party mount list", "party org list", "party room list", "party seal", "party site list",
    "party vehicle list", "rebuild", "rules list", "token list", "token show",
}  # fmt: skip
"""They take no name and no file."""

ROWS = [
    (code, *map(str.strip, line.split(" | ")))
    for code, table in ((2, USAGE), (3, UNCHECKED))
    for line in table.strip().splitlines()
]


def leaf_of(line: str) -> str:
    return next(name for name in (" ".join(line.split()[:n]) for n in (3, 2, 1)) if name in ALL)


def all_leaves() -> Iterator[str]:
    for name, command in LEAVES.items():
        yield from (f"{name} {sub}" for sub in command.commands) if hasattr(command, "commands") else [name]


ALL = set(all_leaves())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A ledger with a little of everything, and files that are none of what is asked for."""
    place = tmp_path_factory.mktemp("exit")
    for name, content in FILES.items():
        (place / name).write_bytes(content)
    for name in ("key.pem", "used.pem", "played.pem"):
        public = Ed25519PrivateKey.generate().public_key()
        (place / name).write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (place / "folder").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLDCHAIN_WEBHOOKS_PRIVATE", "true")
        for line in SETUP.strip().splitlines():
            with pytest.raises(SystemExit) as end:
                main(words_of(line, place))
            assert not end.value.code
        yield place


def words_of(line: str, place: Path) -> list[str]:
    """@ stands for the place, ~ for a blank within a word."""
    words = [re.sub("^@", f"{place}/", word).replace("~", " ") for word in line.split()]
    return [*words, "--dir", str(place / "ledger")]


def everything(place: Path) -> tuple[int, list[str]]:
    """Entries of the ledger, and files."""
    with open_core(load_settings(dir=place / "ledger")) as core:
        return core.log.edge().size, sorted(str(path) for path in place.rglob("*"))


@pytest.mark.parametrize(("code", "line", "told"), ROWS, ids=[line for _, line, _ in ROWS])
def test_a_mistake_ends_with_its_code_and_one_document(
    place: Path, code: int, line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(place)
    found, message = refused(capsys, *words_of(line, place))
    assert (found, told in message) == (code, True), message
    assert everything(place) == before, "nothing was changed"


def test_every_command_that_takes_a_name_or_a_file_is_in_the_table() -> None:
    assert {leaf_of(line) for _, line, _ in ROWS} == ALL - NOTHING_TO_MISTAKE


@pytest.mark.parametrize("words", sorted(ALL - {"demo", "serve", "simulate", "replay"}))
def test_a_directory_that_is_a_file_is_a_wrong_call(
    words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *words.split(), "--dir", place / "junk")[0] == 2


def test_an_older_demo_stays_where_the_next_one_cannot_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older = place / "older"
    older.mkdir()
    (older / "demo.json").write_text(json.dumps({"scenario": "smoke"}))
    assert refused(capsys, "demo", "--scenario", "nope", "--dir", older)[0] == 2
    assert refused(capsys, "demo", "--http", "nonsense", "--dir", older)[0] == 2
    assert (older / "demo.json").exists()


def test_a_damaged_secret_is_a_wrong_directory_and_a_damaged_database_could_not_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_core(load_settings(dir=tmp_path / "d"), create=True):
        pass
    key = tmp_path / "d" / "secrets" / "log.key"
    kept = key.read_bytes()
    key.write_bytes(b"no key")
    assert refused(capsys, "log", "key", "--dir", tmp_path / "d")[0] == 2
    key.write_bytes(kept)
    assert ended(capsys, "log", "key", "--dir", tmp_path / "d")[0] == 0
    (tmp_path / "d" / "coldchain.db").write_bytes(b"no database at all" * 500)
    assert refused(capsys, "log", "key", "--dir", tmp_path / "d") == (3, "file is not a database")
    assert refused(capsys, "log", "key", "--dir", tmp_path / "d", "--database", "nonsense://")[0] == 2
