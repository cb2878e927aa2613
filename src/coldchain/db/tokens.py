"""Tokens of organisations, as the database keeps them: by hash, never themselves."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine, insert, select, update

from coldchain.db.engine import writing
from coldchain.db.tables.access import api_token
from coldchain.db.tables.parties import party
from coldchain.services.principals import Token


class SqlTokens:
    """`services.principals.Tokens` over the side table."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, token_id: str) -> Token | None:
        if not (token_id.isascii() and token_id.isalnum()):  # what a stranger sends may be no text for a database
            return None
        with self._engine.connect() as connection:
            row = connection.execute(select(api_token).where(api_token.c.id == token_id)).one_or_none()
        return None if row is None else _token(row)

    def holds_role(self, org: str, role: str, now_us: int) -> bool:
        """Whether the organisation is registered in that role, or not at all."""
        c = party.c
        held = select(c.body).where(c.op == "org", c.id == org, c.from_us <= now_us).order_by(c.n.desc()).limit(1)
        with self._engine.connect() as connection:
            body = connection.scalar(held)
        return body is None or role in json.loads(body)["roles"]

    def keep(self, token: Token) -> None:
        """In force when it returns."""
        row = {name: getattr(token, name) for name in api_token.columns.keys()}  # noqa: SIM118
        with writing(self._engine) as connection:
            connection.execute(insert(api_token).values({**row, "scopes": " ".join(token.scopes)}))

    def all(self) -> list[Token]:
        """Every token ever made, oldest first."""
        with self._engine.connect() as connection:
            query = select(api_token).order_by(api_token.c.created_us, api_token.c.id)
            return [_token(row) for row in connection.execute(query)]

    def revoke(self, token_id: str, now_us: int) -> bool:
        """Whether there was one to revoke; it opens nothing any more when this returns."""
        good = (api_token.c.id == token_id) & api_token.c.revoked_us.is_(None)
        with writing(self._engine) as connection:
            return connection.execute(update(api_token).where(good).values(revoked_us=now_us)).rowcount > 0


def _token(row: Any) -> Token:
    return Token(**{**row._mapping, "digest": bytes(row.digest), "scopes": tuple(row.scopes.split())})
