"""The JT/T 808 door of one data directory: open where the settings say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from coldchain.bootstrap.brokers import Address, parse_address
from coldchain.bootstrap.core import Core
from coldchain.bootstrap.secrets import SetupError, truck_secret
from coldchain.services.messages import Inbound, Reply
from coldchain.tcp.jtt808 import Door, Terminals


@contextmanager
def truck_door(core: Core, wake: Callable[[], None]) -> Iterator[Address | None]:
    """Where trucks connect meanwhile; None where there is no door. Raises SetupError where it cannot listen."""
    settings = core.settings
    if not settings.jtt808:
        yield None
        return
    host, port = parse_address(settings.jtt808, "COLDCHAIN_JTT808")
    door = Door(host, port, _terminals(core, wake), truck_secret(settings.dir / "secrets"))
    with ExitStack() as stack:
        try:
            stack.enter_context(door.started())
        except OSError as error:
            raise SetupError(f"cannot listen on {host}:{port} for JT/T 808: {error.strerror}") from error
        yield door.address


def _terminals(core: Core, wake: Callable[[], None]) -> Terminals:
    name = core.settings.jtt808_gateway

    def topic() -> str:
        gateway = core.registry.gateway(name)
        return f"{gateway.topic_base}/up" if gateway is not None and not gateway.closed else ""

    def known(phone: str) -> bool:
        core.refresh_registry()
        return core.registry.sources.device(name, phone) is not None

    def admit(batch: Sequence[Inbound]) -> Sequence[Reply | None]:
        replies = core.admission.admit(batch)
        wake()
        return replies

    return Terminals(topic, known, admit)
