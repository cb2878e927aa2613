"""Which probes are in the product, and which certificate holds when: from the command to the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coldchain.bootstrap.core import Core, open_core
from coldchain.cli import group
from coldchain.db.queries_api import device_row
from coldchain.db.queries_fittings import fittings_of
from coldchain.domain.fittings import Fitting, calibration_at, probe_kind
from coldchain.domain.parties import read_registration
from coldchain.services.chores import canonical
from coldchain.services.identity import CommandRefused
from coldchain.services.parties import registered
from coldchain.settings import load_settings
from coldchain_ledger.log import Draft
from opening import new_core
from web.story import HOUR, START, Clock, Sender


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    with new_core(load_settings(dir=tmp_path / "d", database=url), clock=Clock(START)) as core:
        yield core


def history(core: Core, device: str) -> tuple[Fitting, ...]:
    with core.engine.connect() as connection:
        return fittings_of(connection)[device_row(connection, device).device_no]


def ledger_size(directory: Path) -> int:
    with open_core(load_settings(dir=directory)) as core, core.store.snapshot() as snapshot:
        edge = snapshot.edge()
    return edge.size if edge else 0


def test_orders_take_turns_whenever_they_were_recorded_and_a_rebuild_agrees(core: Core) -> None:
    Sender(core, "d1", "veh:T1")
    later = {"id": "d1", "controller": True, "from_us": START + 9 * HOUR}
    earlier = {"id": "d1", "probes": {"box1": "product"}, "from_us": START + 4 * HOUR}
    core.register("fitting", earlier)
    core.register("fitting", later)
    core.settle()
    found = history(core, "d1")
    assert [one.from_us for one in found] == [0, START + 4 * HOUR, START + 9 * HOUR]
    assert [probe_kind(found, "box1", START + hour * HOUR) for hour in (3, 4, 9)] == ["air", "product", "air"]
    rebuilt = core.follower.rebuild()
    assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()


def test_an_order_recorded_before_the_enrolment_stands_after_it(core: Core) -> None:
    body = {"v": 1, "op": "fitting", "id": "d1", "n": 1, "probes": {"box1": "product"}, "from_us": START + HOUR}
    core.log.append([registered(core.log.origin, read_registration(body))])
    core.settle()
    Sender(core, "d1", "veh:T1")
    core.settle()
    assert [one.from_us for one in history(core, "d1")] == [0, START + HOUR]


def test_a_device_of_whose_sensors_nothing_was_stated_has_no_fitting(core: Core) -> None:
    Sender(core, "d1", "veh:T1")
    core.settle()
    with core.engine.connect() as connection:
        assert fittings_of(connection) == {}


def test_a_fitting_of_a_device_that_nobody_enrolled_is_refused(core: Core) -> None:
    with pytest.raises(CommandRefused, match=r"device 'd2' is not enrolled, nor mapped behind a gateway"):
        core.register("fitting", {"id": "d2", "controller": True})
    body = {"v": 1, "op": "gateway", "device": "gw", "org": "o", "site": "s", "format": "senml", "n": 1}
    source = {"v": 1, "op": "mapping", "device": "d2", "org": "o", "site": "s", "gateway": "gw", "source": "x", "n": 1}
    for order in (body, source):
        core.record(
            Draft("identity", "o", "application/json", f"identity/{order['op']}", "declared", (), canonical(order))
        )
    assert core.register("fitting", {"id": "d2", "controller": True})[0].n == 1


def test_enrolment_states_the_first_fitting_and_a_rotation_keeps_it(tmp_path: Path) -> None:
    def run(*words: str) -> dict[str, object]:
        done = CliRunner().invoke(group, [*words, "--dir", str(tmp_path / "d"), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def key(name: str) -> str:
        public = Ed25519PrivateKey.generate().public_key()
        (tmp_path / name).write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return str(tmp_path / name)

    enrol = ("device", "enrol", "--org", "acme", "--site", "fleet", "--id", "t1", "--public-key", key("a.pem"))
    run(*enrol, "--product-probe", "temp/box1", "--controller", "--calibration", "CAL:1:2026-05-01")
    run("device", "rotate", "t1", "--public-key", key("b.pem"))
    with open_core(load_settings(dir=tmp_path / "d")) as core:
        core.settle()
        (first,) = history(core, "t1")
    assert (first.probes, first.controller) == ({"box1": "product"}, True)
    assert first.calibration is not None
    assert first.calibration.certificate == "CAL:1"
    run("party", "fitting", "add", "--id", "t1", "--calibration", "CAL:2:2027-05-01", "--from", "2026-05-03T00:00:00Z")
    with open_core(load_settings(dir=tmp_path / "d")) as core:
        core.settle()
        found = history(core, "t1")
    assert [calibration_at(found, t_us).mark for t_us in (0, 1777680000_000000, found[1].from_us)] == [
        "valid",
        "expired",
        "valid",
    ]
    refused = CliRunner().invoke(group, [*enrol[:-1], key("c.pem"), "--calibration", "CAL", "--dir", str(tmp_path)])
    assert refused.exit_code == 2
    assert "expected CERT:DATE" in refused.output


@pytest.mark.parametrize(
    ("again", "told"),
    [
        (["--product-probe", "box2"], r"fitting .*box1.*, not the fitting .*box2.* party fitting add --id t1"),
        (["--controller"], r"party fitting add --id t1"),
        (["--place", "veh:T2"], r"place 'veh:T1', not 'veh:T2': coldchain party mount add --id t1"),
        (["--profile", "none"], r"profile 'CN-chilled', not None: .* choose another id"),
        (["--grade", "transport"], r"grade 'signed', not 'transport'"),
        (["--role", "portal"], r"role 'sensor', not 'portal'"),
        (["--time-floor", "2016-01-01"], r"time_floor_us 1577836800000000, not 1451606400000000"),
    ],
)
def test_enrolling_again_gives_a_password_and_never_ignores_what_it_states(
    tmp_path: Path, again: list[str], told: str
) -> None:
    public = Ed25519PrivateKey.generate().public_key()
    (tmp_path / "a.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    where = ["--public-key", str(tmp_path / "a.pem"), "--dir", str(tmp_path / "d"), "--json"]
    short = ["device", "enrol", "--org", "acme", "--site", "fleet", "--id", "t1", *where]
    full = [*short, "--place", "veh:T1", "--profile", "CN-chilled", "--product-probe", "temp/box1"]

    def password(words: list[str]) -> str:
        done = CliRunner().invoke(group, words)
        assert done.exit_code == 0, done.output
        return str(json.loads(done.stdout)["password"])

    assert len({password(full), password(full), password(short)}) == 3
    before = ledger_size(tmp_path / "d")
    with pytest.raises(CommandRefused, match=told):
        CliRunner().invoke(group, [*short, *again], catch_exceptions=False)
    assert ledger_size(tmp_path / "d") == before
