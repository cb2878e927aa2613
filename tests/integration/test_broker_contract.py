"""The pure parts: topics, answers, accounts."""

from __future__ import annotations

import json
from dataclasses import asdict

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.mqtt.accounts import Credentials, account_for, load_or_create, new_account, permissions
from coldchain.mqtt.answers import MORE_PER_ACK, answers
from coldchain.mqtt.errors import BrokerError
from coldchain.mqtt.topics import format_topic
from coldchain.services.messages import Reply, Topic, TopicError, parse_topic

names = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
kinds = st.sampled_from(["up", "evt", "status", "cmd", "ack", "nack"])


@given(names, names, names, kinds)
def test_a_topic_survives_being_written_and_read(org, site, device, kind):
    text = format_topic(org, site, device, kind)

    assert parse_topic(text) == Topic(org, site, device, kind)
    assert text == f"{parse_topic(text).base}/{kind}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cc/v1/o/s/d",
        "cc/v1/o/s/d/up/",
        "cc/v1/o/s/d/up\n",
        "cc/v2/o/s/d/up",
        "cc/v1/o/s/d.1/up",
        "cc/v1/o//d/up",
        "cc/v1/o/s/+/up",
        "cc/v1/o/s/d/down",
        "cc/v1/o/s/京A/up",
        f"cc/v1/o/s/{'d' * 65}/up",
    ],
)
def test_whatever_is_not_a_topic_is_quoted_in_the_error(text):
    with pytest.raises(TopicError) as error:
        parse_topic(text)

    assert repr(text) in str(error.value)


@pytest.mark.parametrize("names", [("o.x", "s", "d", "up"), ("o", "", "d", "up"), ("o", "s", "#", "up")])
def test_a_name_that_may_not_stand_in_a_topic_is_named(names):
    with pytest.raises(TopicError, match="must be 1 to 64"):
        format_topic(*names)


def test_a_kind_that_is_none_is_named():
    with pytest.raises(TopicError, match="'down'"):
        format_topic("o", "s", "d", "down")


def test_a_long_ack_is_split_and_names_every_message_once():
    replies = [Reply("cc/v1/o/s/d", "ack", 1, seq, seq + 7) for seq in range(2 * MORE_PER_ACK + 1)]

    told = [json.loads(payload) for _, payload in answers(replies)]

    assert len(told) == 3
    listed = [[one["boot"], one["seq"], one["index"]] for one in told for one in [one]]
    listed += [entry for one in told for entry in one.get("more", [])]
    assert sorted(listed) == [[1, seq, seq + 7] for seq in range(2 * MORE_PER_ACK + 1)]
    assert all(len(payload) < 48 * 1024 for _, payload in answers(replies))


def test_nothing_kept_of_an_account_tells_its_password():
    account, credentials = new_account("device", "o", "s", "d")

    assert len(credentials.password) == 32
    assert credentials.password not in json.dumps(asdict(account))
    assert credentials.password not in repr(credentials)
    assert bcrypt.checkpw(credentials.password.encode(), account.nats_hash.encode())
    assert account.mosquitto_hash not in repr(account)


def test_rendering_an_account_again_changes_nothing_for_the_broker():
    account, credentials = new_account("gateway", "o", "s", "gw")

    assert account_for(credentials, "gateway", "o", "s", "gw") == account
    other = Credentials(credentials.username, credentials.password + "x", credentials.client_id)
    assert account_for(other, "gateway", "o", "s", "gw").nats_hash != account.nats_hash


def test_credentials_of_one_account_make_no_other():
    _, credentials = new_account("device", "o", "s", "d1")

    with pytest.raises(BrokerError, match=r"'o/s/d1'.*'o/s/d2'"):
        account_for(credentials, "device", "o", "s", "d2")


def test_a_device_name_cannot_widen_its_permissions():
    for name in ("+", "d/+", "#", "d1/up", "*", ">"):
        with pytest.raises(TopicError):
            new_account("device", "o", "s", name)


def test_the_server_keeps_its_credentials_across_starts(tmp_path):
    path = tmp_path / "broker.json"

    first, second = load_or_create(path, "server"), load_or_create(path, "server")

    assert first == second
    assert path.stat().st_mode & 0o777 == 0o600
    assert permissions(first[0]).subscribe == (
        "cc/v1/+/+/+/up",
        "cc/v1/+/+/+/up/#",
        "cc/v1/+/+/+/evt",
        "cc/v1/+/+/+/status",
    )


@pytest.mark.parametrize("content", ["", "[]", '{"username":"coldchain"}'])
def test_a_damaged_credentials_file_says_what_to_do(tmp_path, content):
    path = tmp_path / "broker.json"
    path.write_text(content)

    with pytest.raises(BrokerError, match="remove it to have new ones drawn"):
        load_or_create(path, "server")
