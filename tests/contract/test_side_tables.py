"""Refused messages and broker accounts: what is kept, what is counted, what is forgotten."""

import hashlib
from dataclasses import replace

import pytest

from coldchain.db import ledger_store
from coldchain.db.accounts import StoredAccount, active_accounts, close_account, save_account
from coldchain.db.engine import writing
from coldchain.db.rejects import SqlRejects
from coldchain.services.admit import Refused
from coldchain.services.chores import DAY_US, HOUR_US
from coldchain.services.messages import Inbound

NOON = 20_000 * DAY_US + 12 * HOUR_US


@pytest.fixture
def rejects(engine):
    return SqlRejects(engine, per_sender=3, days=2)


def refusal(payload, device="t1", reason="bad-signature"):
    return Refused(Inbound(f"cc/v1/polar/fleet/{device}/up", payload), device, reason, "does not verify")


def test_a_refused_message_is_kept_with_its_reason_and_its_bytes_hash(rejects):
    rejects.keep([refusal(b"one"), refusal(b"two", "t2", "unknown-key")], NOON)
    listing = rejects.listing(10)
    assert listing["kept"] == 2
    assert [item["device"] for item in listing["items"]] == ["t2", "t1"]
    assert listing["items"][1] == {
        "id": 1,
        "at": "2024-10-04T12:00:00.000Z",
        "topic": "cc/v1/polar/fleet/t1/up",
        "device": "t1",
        "reason": "bad-signature",
        "detail": "does not verify",
        "bytes": 3,
        "sha256": hashlib.sha256(b"one").hexdigest(),
    }
    assert [item["device"] for item in rejects.listing(1, device="t1")["items"]] == ["t1"]


def test_a_flood_is_counted_whole_and_kept_up_to_the_senders_cap_of_the_day(rejects):
    rejects.keep([refusal(b"%d" % n) for n in range(5)] + [refusal(b"x", "t2")], NOON)
    rejects.keep([refusal(b"late")], NOON + 1)
    assert rejects.listing(10)["kept"] == 4
    rejects.keep([refusal(b"tomorrow")], NOON + DAY_US)
    assert rejects.listing(10)["kept"] == 5
    counts = {(tally.sender, tally.hour_us): tally.count for tally in rejects.due(NOON + 2 * DAY_US)}
    assert counts == {("t1", NOON): 6, ("t2", NOON): 1, ("t1", NOON + DAY_US): 1}


def test_kept_messages_expire(rejects):
    rejects.keep([refusal(b"old")], NOON)
    rejects.keep([refusal(b"new")], NOON + 2 * DAY_US + 1)
    assert [item["sha256"] for item in rejects.listing(10)["items"]] == [hashlib.sha256(b"new").hexdigest()]


def test_a_tally_is_due_when_its_hour_is_over_and_commits_to_every_message_in_order(rejects):
    rejects.keep([refusal(b"a"), refusal(b"b", reason="too-large"), refusal(b"c")], NOON)
    rejects.keep([refusal(b"d")], NOON + HOUR_US - 1)
    assert rejects.due(NOON + HOUR_US - 1) == []
    chain = bytes(32)
    for payload in (b"a", b"c", b"d"):
        chain = hashlib.sha256(chain + hashlib.sha256(payload).digest()).digest()
    due = rejects.due(NOON + HOUR_US)
    assert [(tally.reason, tally.count) for tally in due] == [("bad-signature", 3), ("too-large", 1)]
    assert due[0].digest == chain

    rejects.settle(due[:1])
    assert rejects.due(NOON + HOUR_US) == due[1:]


@pytest.mark.parametrize("shelf_every", [2, 100], ids=["some keys shelved", "all keys recent"])
def test_differing_copies_of_a_message_are_counted_in_the_ledger(
    sql_store, make_rows, rejects, monkeypatch, shelf_every
):
    monkeypatch.setattr(ledger_store, "_SHELF_EVERY", shelf_every)
    keys = ["tm/t1/1/7", "tm/t1/1/7#00ff", "tm/t1/1/7#ffff", "tm/t1/1/70", "tm/t1/1/71#aa"]
    rows = make_rows(0, [()] * len(keys))
    for row, key in zip(rows, keys, strict=True):
        with sql_store.transaction() as transaction:
            transaction.append([replace(row, key=key)])
    assert [rejects.copies(key) for key in ("tm/t1/1/7", "tm/t1/1/70", "tm/t1/1/71")] == [2, 0, 1]


def test_an_account_is_in_force_until_it_is_closed(engine):
    truck = StoredAccount("polar/fleet/t1", "device", "polar", "fleet", "t1", "$2b$04$x", "$7$101$x")
    gateway = StoredAccount("polar/w1/g", "gateway", "polar", "w1", "g", "$2b$04$y", "$7$101$y")
    with writing(engine) as connection:
        save_account(connection, truck, 5)
        save_account(connection, gateway, 6)
    assert active_accounts(engine) == [truck, gateway]
    with writing(engine) as connection:
        assert close_account(connection, truck.username)
        assert not close_account(connection, truck.username)
        assert not close_account(connection, "nobody")
    assert active_accounts(engine) == [gateway]


def test_saving_an_account_again_replaces_its_password(engine):
    old = StoredAccount("polar/fleet/t1", "device", "polar", "fleet", "t1", "$2b$04$x", "$7$101$x")
    new = old._replace(nats_hash="$2b$04$z")
    for account in (old, new):
        with writing(engine) as connection:
            save_account(connection, account, 5)
    assert active_accounts(engine) == [new]
