"""A message that somebody else brings: a detour of the network, a thief, a forger. They have the account, not the key.

The connection is its own. A broker that takes the user name for the client id cuts the device's for it; both come back.
"""

from __future__ import annotations

import hashlib
import json
import queue
import secrets
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from coldchain_devices.errors import NotDelivered
from coldchain_devices.signer import LEAVES, Signed


def hand_over(
    address: tuple[str, int], username: str, password: str, topic: str, message: Signed, timeout_s: float = 60.0
) -> str:
    """What the ledger answers to these bytes: `ack` or `nack`. topic: the device's, without its last level.

    An `ack` names the message and not its bytes: one that is still due to the device would be taken for ours. Raises
    NotDelivered where there is no answer within `timeout_s` seconds.
    """
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen(_client: mqtt.Client, _data: object, answer: mqtt.MQTTMessage) -> None:
        if _concerns(json.loads(answer.payload), message):
            heard.put(answer.topic.rpartition("/")[2])

    client = mqtt.Client(CallbackAPIVersion.VERSION2, f"courier-{secrets.token_hex(16)}", protocol=mqtt.MQTTv311)
    client.username_pw_set(username, password)
    client.reconnect_delay_set(1, 1)
    client.on_connect = lambda client, *_: client.subscribe([(f"{topic}/ack", 0), (f"{topic}/nack", 0)])
    client.on_subscribe = lambda client, *_: client.publish(f"{topic}/{LEAVES[message.typ]}", message.jws, qos=1)
    client.on_message = listen
    client.connect_async(*address)
    client.loop_start()
    try:
        return heard.get(timeout=timeout_s)
    except queue.Empty as error:
        raise NotDelivered(f"no answer to a message brought to {topic} within {timeout_s:g} s") from error
    finally:
        client.disconnect()
        client.loop_stop()


def _concerns(told: dict[str, Any], message: Signed) -> bool:
    if "sha256" in told:
        return bool(told["sha256"] == hashlib.sha256(message.jws).hexdigest())
    named = [[told["boot"], told["seq"]], *(one[:2] for one in told.get("more", []))]
    return [message.boot, message.seq] in named
