"""What the EPCIS interface is given beside what it reads itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coldchain.services.epcis_capture import Capture
from coldchain.services.ports import Clock


@dataclass(frozen=True, slots=True)
class EpcisPorts:
    """Wired by bootstrap; every callable may be called from any thread."""

    capture: Capture
    wake: Callable[[], None]
    """There is something to record, to derive or to deliver: whoever sleeps looks now."""
    clock: Clock
    check_destination: Callable[[str], None]
    """Raises SubscriptionRefused for an address that nobody may be told at."""
