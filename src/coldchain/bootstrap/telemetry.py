"""What gateways and vendor platforms send over HTTP: the same way in as over MQTT, in the gateway's name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from coldchain.bootstrap.core import Core
from coldchain.db.queries_api import NotKnown
from coldchain.services.messages import Inbound, Reply
from coldchain.services.principals import Forbidden, Principal


class HttpTelemetry:
    """Batches of payloads, one after the other: each is recorded in one transaction when `take` returns."""

    def __init__(self, core: Core, wake: Callable[[], None]) -> None:
        self._core = core
        self._wake = wake
        self._one = threading.Lock()

    def take(
        self, principal: Principal, gateway: str, payloads: Sequence[bytes], content_type: str, topic: str = ""
    ) -> list[Reply]:
        """What came of each, in order: `ack` with its index, `nack` with the reason, and then it is among the rejects.

        Raises NotKnown for a gateway that is not registered, Forbidden for one of another organisation.
        """
        self._core.refresh_registry()
        known = self._core.registry.gateway(gateway)
        if known is None:
            raise NotKnown(f"no gateway {gateway!r}")
        if principal.org != known.org and not principal.is_operator:
            raise Forbidden(f"gateway {gateway!r} is of {known.org}; token {principal.name!r} is of {principal.org}")
        door = f"{known.topic_base}/up/{topic}" if topic else f"{known.topic_base}/up"
        batch = [Inbound(door, payload, content_type) for payload in payloads]
        with self._one:
            replies = self._core.admission.admit(batch)
        self._wake()
        return [reply for reply in replies if reply is not None]
