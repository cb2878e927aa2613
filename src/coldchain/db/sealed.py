"""Personal data kept apart from the ledger, which holds SHA-256(32-byte random salt ‖ value) of it (ledger §2.4)."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Engine, insert, select, update

from coldchain.db.engine import writing
from coldchain.db.tables.access import sealed

SALT_BYTES = 32


class SqlSealed:
    """Seals, opens and erases."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def seal(self, kind: str, value: str, now_us: int) -> str:
        """The digest to put into an entry. The value is kept when this returns: a crash before the entry is recorded
        leaves a value that nothing names."""
        salt, data = secrets.token_bytes(SALT_BYTES), value.encode()
        digest = hashlib.sha256(salt + data).hexdigest()
        row = {"digest": digest, "kind": kind, "salt": salt, "value": data, "at_us": now_us}
        with writing(self._engine) as connection:
            connection.execute(insert(sealed).values(row))
        return digest

    def open(self, digest: str) -> str | None:
        """None where it was erased, or sealed elsewhere."""
        with self._engine.connect() as connection:
            value = connection.scalar(select(sealed.c.value).where(sealed.c.digest == digest))
        return None if value is None else bytes(value).decode()

    def erase(self, digest: str) -> bool:
        """Whether there was anything to erase. Without its salt nobody can tell any more what the digest was of."""
        with writing(self._engine) as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = on")  # freed bytes are overwritten, not left behind
            there = (sealed.c.digest == digest) & sealed.c.value.is_not(None)
            return connection.execute(update(sealed).where(there).values(salt=None, value=None)).rowcount > 0
