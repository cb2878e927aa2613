"""Tokens, one-time links and sealed data on both databases: what is kept, and what is gone when it is gone."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from coldchain.db.links import KEEP_US, SqlLinks
from coldchain.db.sealed import SqlSealed
from coldchain.db.tables.access import answer_link, sealed
from coldchain.db.tokens import SqlTokens
from coldchain.services.links import Link
from coldchain.services.principals import Token, secret_digest

NOW = 1_772_438_400_000_000
TOKEN = Token("abc123", secret_digest("abc123.secret"), "polar", "warehouse", ("read", "claim"), "wms", NOW, NOW + 10)
LINK = Link(secret_digest("secret"), "polar", {"about": "handover", "units": []}, NOW, NOW + 10)


def test_a_token_is_found_by_its_id_as_it_was_kept(engine):
    tokens = SqlTokens(engine)
    tokens.keep(TOKEN)
    tokens.keep(replace(TOKEN, id="zzz", created_us=NOW + 1, expires_us=None))
    assert tokens.find("abc123") == TOKEN
    assert [token.id for token in tokens.all()] == ["abc123", "zzz"]
    for stranger in ("", "abc", "abc123\0", "’", "x" * 10_000):
        assert tokens.find(stranger) is None


def test_a_token_is_good_for_its_own_secret_until_it_expires_or_is_revoked(engine):
    tokens = SqlTokens(engine)
    tokens.keep(TOKEN)
    kept = tokens.find("abc123")
    assert kept.is_good("abc123.secret", NOW + 9)
    assert not kept.is_good("abc123.secret", NOW + 10)
    assert not kept.is_good("abc123.other", NOW)
    assert tokens.revoke("abc123", NOW + 1)
    assert not tokens.find("abc123").is_good("abc123.secret", NOW + 2)
    assert not tokens.revoke("abc123", NOW + 2)


def test_a_link_is_open_until_it_is_spent_or_over(engine):
    links = SqlLinks(engine)
    links.keep(LINK)
    assert links.find(LINK.digest) == LINK
    assert links.find(secret_digest("other")) is None
    assert [links.find(LINK.digest).is_open(t) for t in (NOW, NOW + 10)] == [True, False]
    links.spend(LINK.digest, NOW + 5)
    assert not links.find(LINK.digest).is_open(NOW + 6)


def test_links_long_over_are_forgotten(engine):
    links = SqlLinks(engine)
    links.keep(LINK)
    links.keep(replace(LINK, digest=secret_digest("new"), created_us=LINK.expires_us + KEEP_US + 1))
    with engine.connect() as connection:
        assert [bytes(digest) for digest in connection.scalars(select(answer_link.c.digest))] == [secret_digest("new")]


@pytest.mark.parametrize("value", ["沪A12345", "", "x" * 5_000])
def test_what_is_sealed_opens_until_it_is_erased_and_leaves_only_its_digest(engine, value):
    box = SqlSealed(engine)
    digest = box.seal("person", value, NOW)
    assert (len(digest), box.open(digest)) == (64, value)
    assert box.erase(digest)
    assert box.open(digest) is None
    with engine.connect() as connection:
        (row,) = connection.execute(select(sealed)).all()
    assert (row.digest, row.salt, row.value) == (digest, None, None)
