"""docs/findings.md: the signature shown is one, the code shown checks it, and every word of a life is explained."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from coldchain.domain.findings import EVENTS
from coldchain.domain.notices import Selection
from coldchain.domain.severity import SEVERITIES
from coldchain.services.notices import Channel, Message, signed_headers

TEXT = (Path(__file__).parents[2] / "docs" / "findings.md").read_text()
SECRET = "correct-horse-battery-staple"
BODY = '{"v":1}'


@pytest.fixture
def shown() -> dict[str, Any]:
    """The code in the document, run."""
    names: dict[str, Any] = {}
    exec(re.search(r"^```python\n(.+?)^```", TEXT, re.M | re.S)[1], names)
    return names


def test_the_worked_example_is_what_we_would_send() -> None:
    channel = Channel("c", "webhook", "http://example.com/", Selection(), 0, 0, SECRET)
    (stamp, mac) = re.search(r"^t=(\d+),v1=([0-9a-f]{64})$", TEXT, re.M).groups()
    headers = signed_headers(channel, Message("m", "c", 0, 0, BODY), int(stamp) * 1_000_000 + 999_999)
    assert headers["Coldchain-Signature"] == f"t={stamp},v1={mac}"


def test_the_code_shown_tells_a_genuine_message_from_another(shown: dict[str, Any]) -> None:
    channel = Channel("c", "webhook", "http://example.com/", Selection(), 0, 0, SECRET)
    header = signed_headers(channel, Message("m", "c", 0, 0, BODY), time.time_ns() // 1_000)["Coldchain-Signature"]
    is_genuine = shown["is_genuine"]
    assert is_genuine(SECRET, header, BODY.encode())
    assert not is_genuine(SECRET, header, b'{"v":2}')
    assert not is_genuine("another secret", header, BODY.encode())
    old = signed_headers(channel, Message("m", "c", 0, 0, BODY), 10**15)["Coldchain-Signature"]
    assert not is_genuine(SECRET, old, BODY.encode()), "an old message is not taken again"


def test_every_event_and_severity_is_explained() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", TEXT, re.M)) == set(EVENTS)
    assert all(f"`{severity}`" in TEXT for severity in SEVERITIES)
