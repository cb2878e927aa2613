"""Several commands that enrol one device at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from coldchain.bootstrap import enrol as enrolling
from coldchain.bootstrap.core import open_core
from coldchain.cli.playing import public_text
from coldchain.db.accounts import active_accounts
from coldchain.services.identity import CommandRefused, Enrolment
from coldchain.settings import load_settings
from coldchain_devices.signer import DeviceKey
from opening import new_core


def test_the_one_that_enrols_a_device_keeps_its_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(dir=tmp_path / "data")
    with new_core(settings):
        pass
    checked = enrolling.enrol

    def slowly(*of: Any) -> Any:
        result = checked(*of)
        both.submit(lambda: None).result()  # another thread of this process had time meanwhile
        return result

    def command(_: int) -> dict[str, Any] | None:
        key = DeviceKey.generate()
        with open_core(settings) as core:
            try:
                return enrolling.enrol_device(core, Enrolment("o", "s", "d1", key.alg, public_text(key)))[0]
            except CommandRefused:
                return None

    monkeypatch.setattr(enrolling, "enrol", slowly)
    with ThreadPoolExecutor(1) as both, ThreadPoolExecutor(6) as threads:
        enrolled = [found for found in threads.map(command, range(6)) if found]
    with open_core(settings) as core:
        (account,) = active_accounts(core.engine)
    assert len(enrolled) == 1
    assert bcrypt.checkpw(enrolled[0]["password"].encode(), account.nats_hash.encode())
