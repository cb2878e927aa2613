"""Findings are told: to a real web server and a real mail server, once, whatever crashes in between."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.notices import add_channel, notifier, sender
from coldchain.bootstrap.webhooks import Webhooks
from coldchain.cli import group
from coldchain.db.notices import KEEP_US, SqlNotices
from coldchain.db.queries_findings import life_of
from coldchain.db.tables.events import finding as finding_table
from coldchain.domain.notices import GIVE_UP_S, Selection
from coldchain.services.findings import Acknowledged
from coldchain.services.identity import CommandRefused
from coldchain.services.notices import Channel, trial
from coldchain.services.principals import operator_principal
from coldchain.services.signed_posts import NotDelivered
from coldchain.settings import load_settings
from integration.hostile import NOW_S, Clock, Door, Truck
from integration.receivers import MailReceiver, WebhookReceiver, certificate, serving
from opening import new_core

SECOND_US = 1_000_000
SECRET = "a secret of twenty characters"


class Scene:
    """A ledger, two trucks, and a notifier with a wall clock of its own."""

    def __init__(self, core: Core, clock: Clock) -> None:
        self.core = core
        self.door = Door(core, clock)
        self.kept = SqlNotices(core.engine)
        self.wall_us = NOW_S * SECOND_US
        self.settings = core.settings

    def channel(self, dest: str, name: str = "shift", **more: Any) -> None:
        said: dict[str, Any] = {"kind": "webhook", "secret": SECRET, "wanted": Selection(), "window_s": 0, **more}
        made = Channel(name=name, dest=dest, since_entry=self.core.log.edge().size, created_us=self.wall_us, **said)
        add_channel(self.settings, self.kept, made)

    def tell(self, later_s: float = 0) -> None:
        """As a process does that has just started: nothing is remembered but what is in the database."""
        self.wall_us += round(later_s * SECOND_US)
        core = self.core
        fresh = notifier(self.settings, core.engine, core.store, core.log.origin, lambda: self.wall_us)
        while fresh.step() or fresh.finish():
            continue

    def excursion(self, truck: Truck, minute: int = 0, probes: tuple[str, ...] = ("box",)) -> None:
        """Sixteen warm minutes of every probe: a breach of each."""
        pack = [
            {"n": f"temp/{probe}", "u": "Cel", "t": NOW_S + (minute + step) * 60, "v": -4.0}
            for probe in probes
            for step in range(17)
        ]
        self.door.offer(truck.says(pack), topic=f"cc/v1/acme/fleet/{truck.device}/up")
        self.core.settle()

    def truck(self, device: str) -> Truck:
        one = Truck(device)
        self.door.enrol(one, place=f"veh:{device}", profile="CN-frozen")
        return one


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    clock = Clock()
    clock.now_us = (NOW_S + 86_400) * SECOND_US
    settings = load_settings(dir=tmp_path / "data", webhooks_private=True)
    with new_core(settings, clock=clock) as core:
        yield Scene(core, clock)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    one = WebhookReceiver()
    with serving(one.server):
        yield one


def published(scene: Scene, rule: str = "") -> list[tuple[str, int]]:
    """(finding, n) of everything the ledger says of findings, in its order."""
    with scene.core.engine.connect() as connection:
        rows = connection.execute(select(finding_table).order_by(finding_table.c.entry)).all()
    return [(row.finding, row.n) for row in rows if row.rule.endswith(rule)]


# By webhook


def test_a_breach_is_told_with_what_it_is_and_a_signature_that_checks(scene: Scene, receiver: WebhookReceiver) -> None:
    truck = scene.truck("t1")
    scene.channel(receiver.address, wanted=Selection(rules=("CN-frozen transport limit",)))
    scene.excursion(truck)
    scene.tell()
    ((headers, body),) = receiver.told
    stamp, mac = (part.partition("=")[2] for part in headers["coldchain-signature"].split(","))
    assert hmac.compare_digest(mac, hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest())
    assert int(stamp) == scene.wall_us // SECOND_US
    told = json.loads(body)
    assert told["id"] == headers["idempotency-key"]
    (item,) = told["items"]
    assert (item["rule"], item["event"], item["severity"]) == ("CN-frozen transport limit", "raised", "alarm")
    assert (item["subject"], item["channel"], item["places"]) == ("dev:t1", "box", ["veh:t1"])
    assert item["detail"]["limit_mc"] == -18_000


def test_a_breach_that_goes_on_escalates_at_once_is_told_and_is_to_be_acknowledged_again(
    scene: Scene, receiver: WebhookReceiver
) -> None:
    room, clock = Truck("room-1"), scene.door.clock
    scene.door.enrol(room, place="room:w1/a", profile="warehouse-practice")
    scene.channel(receiver.address, wanted=Selection(severity="alarm"), quiet="00:00-23:59", zone="UTC")
    acknowledged = []
    operator = operator_principal(scene.core.log.origin)
    for _ in range(65):
        clock.now_us += 60 * SECOND_US
        reading = [{"n": "temp/air", "u": "Cel", "t": clock.now_us // SECOND_US, "v": -4.0}]
        scene.door.offer(room.says(reading), topic="cc/v1/acme/fleet/room-1/up")
        scene.core.settle()
        scene.tell()
        told = published(scene, "limit")
        if told and not acknowledged:
            scene.core.acknowledge(operator, Acknowledged(told[0][0], "the compressor is looked at"))
            acknowledged = told
    (finding,) = {one for one, _ in published(scene, "limit")}
    with scene.core.engine.connect() as connection:
        life = life_of(connection, finding)
    assert [(row.event, row.severity) for row in life.published] == [("raised", "alarm"), ("escalated", "critical")]
    assert life.standing == "acknowledged before it escalated"
    raised, escalated = life.published
    assert escalated.at_us - raised.at_us == 15 * 61 * SECOND_US, "45 minutes are an alarm, 60 are critical"
    ((item,),) = [body["items"] for body in receiver.bodies()]
    assert (item["event"], item["severity"]) == ("escalated", "critical"), "the alarm waits for the end of quiet hours"
    scene.core.acknowledge(operator, Acknowledged(finding, "goods moved to room b"))
    scene.core.follower.catch_up()
    with scene.core.engine.connect() as connection:
        assert life_of(connection, finding).standing == "acknowledged"


def test_what_was_published_before_the_channel_was_made_is_not_told(scene: Scene, receiver: WebhookReceiver) -> None:
    truck = scene.truck("t1")
    scene.excursion(truck)
    assert published(scene)
    scene.channel(receiver.address)
    scene.tell()
    assert receiver.told == []
    scene.excursion(truck, minute=60)
    scene.tell()
    assert receiver.told


def test_three_probes_of_one_excursion_are_one_message_and_another_truck_is_another(
    scene: Scene, receiver: WebhookReceiver
) -> None:
    one, two = scene.truck("t1"), scene.truck("t2")
    scene.channel(receiver.address, wanted=Selection(rules=("CN-frozen transport limit",)), window_s=60)
    scene.excursion(one, probes=("front", "rear", "return"))
    scene.excursion(two)
    scene.tell()
    assert receiver.told == []
    scene.tell(60)
    places = [[item["places"][0] for item in body["items"]] for body in receiver.bodies()]
    assert sorted(places) == [["veh:t1"] * 3, ["veh:t2"]]


def test_a_channel_of_an_organisation_or_a_place_is_told_of_no_other(scene: Scene, receiver: WebhookReceiver) -> None:
    one, two = scene.truck("t1"), scene.truck("t2")
    limit = {"rules": ("CN-frozen transport limit",)}
    scene.channel(receiver.address, "mine", wanted=Selection(**limit, org="acme", place="veh:t1"))
    scene.channel(receiver.address, "theirs", wanted=Selection(**limit, org="polar"))
    scene.excursion(one)
    scene.excursion(two)
    scene.tell()
    assert [(body["channel"], body["items"][0]["places"]) for body in receiver.bodies()] == [("mine", ["veh:t1"])]


def test_who_does_not_take_it_is_asked_again_with_pauses_and_then_told_once(
    scene: Scene, receiver: WebhookReceiver
) -> None:
    truck = scene.truck("t1")
    scene.channel(receiver.address, wanted=Selection(rules=("CN-frozen transport limit",)))
    scene.excursion(truck)
    receiver.statuses = [500, 503, 301]
    for pause_s in (0, 9, 1, 19, 1, 39, 1, 3_600):
        scene.tell(pause_s)
    assert len(receiver.told) == 4
    assert len({headers["idempotency-key"] for headers, _ in receiver.told}) == 1
    assert len({body for _, body in receiver.told}) == 1
    account = scene.kept.account("shift")
    assert (account.sent, account.sending, account.waiting, account.fault) == (1, 0, 0, "")


def test_what_nobody_takes_for_three_days_is_listed_as_failed_and_stays_listed(
    scene: Scene, receiver: WebhookReceiver
) -> None:
    truck = scene.truck("t1")
    scene.channel(receiver.address, wanted=Selection(rules=("CN-frozen transport limit",)))
    scene.excursion(truck)
    receiver.statuses = [500] * 1_000
    scene.tell()
    for _ in range(GIVE_UP_S // 3_600 + 8):  # the first pauses are shorter
        scene.tell(3_600)
    asked = len(receiver.told)
    scene.tell(10 * 3_600)
    assert len(receiver.told) == asked
    account = scene.kept.account("shift")
    (failed,) = account.failed
    assert (failed.changes, "answered 500" in failed.fault, account.sending) == (1, True, 0)
    receiver.statuses = []
    scene.wall_us += KEEP_US
    scene.excursion(truck, minute=60)
    scene.tell()
    assert len(scene.kept.account("shift").failed) == 1
    assert scene.kept.remove("shift") == 1


def retried(scene: Scene, *words: str) -> Any:
    """The answer, or what stands on stderr where the command fails."""
    where = ("--dir", str(scene.core.settings.dir), "--json")
    done = CliRunner().invoke(group, ["notify", "retry", *words, *where])
    return json.loads(done.stdout) if done.exit_code == 0 else (done.exit_code, done.stderr)


def test_what_was_given_up_is_tried_anew_when_somebody_says_so(scene: Scene, receiver: WebhookReceiver) -> None:
    truck = scene.truck("t1")
    scene.channel(receiver.address, wanted=Selection(rules=("CN-frozen transport limit",)))
    scene.excursion(truck)
    receiver.statuses = [500] * 1_000
    scene.tell()
    for _ in range(GIVE_UP_S // 3_600 + 8):
        scene.tell(3_600)
    (failed,) = scene.kept.account("shift").failed
    assert retried(scene, "shift", "--id", failed.id) == {"name": "shift", "messages": 1, "changes": 1}
    scene.tell()
    account = scene.kept.account("shift")
    assert (len(account.failed), account.sending, "500" in account.fault) == (0, 1, True), "three days begin anew"
    receiver.statuses = []
    retried(scene, "shift")
    scene.tell()
    assert (scene.kept.account("shift").sent, len({body for _, body in receiver.told})) == (1, 1)
    assert retried(scene, "shift") == {"name": "shift", "messages": 0, "changes": 0}, "what was taken is not told again"
    assert retried(scene, "shift", "--id", failed.id)[0] == 2
    code, told = retried(scene, "nobody")
    assert (code, "no channel 'nobody'" in told) == (2, True)


def test_a_receiver_that_hangs_keeps_no_other_channel_waiting(scene: Scene, receiver: WebhookReceiver) -> None:
    slow = WebhookReceiver()
    slow.answering.clear()
    trucks = [scene.truck(f"t{number}") for number in range(4)]
    limit = Selection(rules=("CN-frozen transport limit",))
    with serving(slow.server):
        scene.channel(slow.address, "slow", wanted=limit)
        scene.channel(receiver.address, "shift", wanted=limit)
        for truck in trucks:
            scene.excursion(truck)
        core = scene.core
        one = notifier(scene.settings, core.engine, core.store, core.log.origin, lambda: scene.wall_us)
        while len(receiver.told) < 4:
            one.step()
        account = scene.kept.account("slow")
        assert (account.fault, account.sending, len(slow.told)) == ("", 4, 1), "it was told one thing, and says nothing"
        slow.answering.set()
        while one.finish() or one.step():
            continue
    assert (scene.kept.account("slow").sent, len(slow.told)) == (4, 4)


def test_quiet_hours_hold_back_what_is_not_critical_until_they_end(scene: Scene, receiver: WebhookReceiver) -> None:
    truck = scene.truck("t1")
    limit = Selection(rules=("CN-frozen transport limit",))
    scene.channel(receiver.address, wanted=limit, quiet="05:00-07:00", zone="Asia/Shanghai")
    assert scene.wall_us // SECOND_US == NOW_S, "21:20 in Greenwich, 05:20 in Shanghai"
    scene.excursion(truck)
    scene.tell()
    scene.tell(99 * 60)
    assert receiver.told == []
    assert scene.kept.account("shift").waiting == 1
    scene.tell(60)
    assert len(receiver.told) == 1


def test_beyond_its_hourly_limit_a_channel_gets_one_digest(scene: Scene, receiver: WebhookReceiver) -> None:
    trucks = [scene.truck(f"t{number}") for number in range(6)]
    scene.channel(receiver.address, wanted=Selection(rules=("CN-frozen transport limit",)), per_hour=3)
    for truck in trucks:
        scene.excursion(truck)
    scene.tell()
    assert sorted(map(len, receiver.items())) == [1, 1, 4]
    for truck in trucks:
        scene.excursion(truck, minute=60)
    scene.tell(3_599)
    assert len(receiver.told) == 3
    scene.tell(1)
    told = [change for items in receiver.items() for change in items]
    assert sorted(told) == sorted(published(scene, "transport limit"))


def test_a_channel_that_was_removed_is_told_nothing_more(scene: Scene, receiver: WebhookReceiver) -> None:
    truck = scene.truck("t1")
    scene.channel(receiver.address, window_s=60)
    scene.excursion(truck)
    scene.tell()
    waiting = scene.kept.account("shift").waiting
    assert scene.kept.remove("shift") == waiting > 0
    scene.tell(60)
    assert receiver.told == []


def test_a_rebuild_tells_nothing_again(scene: Scene, receiver: WebhookReceiver) -> None:
    truck = scene.truck("t1")
    scene.channel(receiver.address)
    scene.excursion(truck)
    scene.tell()
    told = len(receiver.told)
    scene.core.follower.rebuild()
    scene.core.settle()
    scene.tell(3_600)
    assert len(receiver.told) == told > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"dest": "http://169.254.169.254/"},
        {"dest": "ftp://example.com/"},
        {"name": "two words"},
        {"quiet": "22-6"},
        {"zone": "Atlantis/Centre"},
        {"zone": "../../etc/passwd"},
        {"per_hour": 0},
        {"window_s": 86_400},
        {"language": "tlh"},
        {"wanted": Selection(severity="loud")},
        {"wanted": Selection(events=("exploded",))},
        {"kind": "email", "dest": "shift@example.com"},
        {"kind": "email", "dest": "a@b.c\r\nBcc: d@e.f"},
    ],
)
def test_a_channel_that_cannot_work_is_refused(scene: Scene, receiver: WebhookReceiver, wrong: dict[str, Any]) -> None:
    with pytest.raises(CommandRefused):
        scene.channel(**{"dest": receiver.address, **wrong})
    assert scene.kept.channels() == []


def test_addresses_of_the_servers_own_network_are_refused_unless_the_operator_allows_them(
    scene: Scene, receiver: WebhookReceiver
) -> None:
    scene.settings = load_settings(dir=scene.core.settings.dir, webhooks_private=False)
    with pytest.raises(CommandRefused, match="webhooks_private"):
        scene.channel(receiver.address)
    with pytest.raises(NotDelivered):
        Webhooks(private=False).post(receiver.address, b"{}", {})


# By e-mail


@pytest.fixture
def encrypted(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    return certificate(tmp_path)


def mailing(scene: Scene, server: MailReceiver, **more: Any) -> None:
    stated = {"smtp": server.address, "smtp_from": "coldchain@example.com", "smtp_tls": "none", **more}
    scene.settings = load_settings(dir=scene.core.settings.dir, **stated)


def test_a_mail_says_what_happened_in_the_readers_language_and_comes_once(scene: Scene) -> None:
    truck = scene.truck("t1")
    with MailReceiver() as server, serving(server):
        mailing(scene, server)
        limit = Selection(rules=("CN-frozen transport limit",))
        scene.channel("shift@example.com", "english", kind="email", secret="", wanted=limit)
        scene.channel("zhiban@example.com", "chinese", kind="email", secret="", wanted=limit, language="zh_Hans")
        scene.excursion(truck)
        server.data_answers = [b"451 later", b"451 later"]
        scene.tell()
        scene.tell(10)
        scene.tell(3_600)
    by_reader: dict[str, list[Any]] = {}
    for mail in server.mails:
        by_reader.setdefault(mail["To"], []).append(mail)
    for reader, words in (
        ("shift@example.com", ("alarm", "Too warm", "raised")),
        ("zhiban@example.com", ("报警", "提出")),
    ):
        first, second = by_reader[reader]
        assert first["Message-ID"] == second["Message-ID"]
        assert first.get_content() == second.get_content()
        assert all(word in first["Subject"] + first.get_content() for word in words)
        assert "dev:t1 box" in first.get_content()
        assert first["Auto-Submitted"] == "auto-generated"
    assert len({mail["Message-ID"] for mail in server.mails}) == 2
    assert [scene.kept.account(name).sent for name in ("english", "chinese")] == [1, 1]


def test_the_password_goes_over_tls_alone_and_nowhere_else(
    scene: Scene, encrypted: tuple[ssl.SSLContext, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = encrypted
    password = tmp_path / "password"
    password.write_text("very secret\n")
    truck = scene.truck("t1")
    with MailReceiver(context, ("cold", "very secret")) as server, serving(server):
        account = {"smtp_username": "cold", "smtp_password_file": password}
        mailing(scene, server, **account, smtp_tls="none")
        scene.channel("shift@example.com", kind="email", secret="", wanted=Selection(severity="alarm"))
        scene.excursion(truck)
        scene.tell()
        assert "over TLS alone" in scene.kept.account("shift").fault
        mailing(scene, server, **account, smtp_tls="starttls")
        scene.tell(10)
        assert "CERTIFICATE_VERIFY_FAILED" in scene.kept.account("shift").fault, "nobody vouches for it"
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        mailing(scene, server, smtp_username="cold", smtp_password="wrong", smtp_tls="starttls")
        scene.tell(20)
        fault = scene.kept.account("shift").fault
        assert "535" in fault
        assert "wrong" not in fault
        assert "wrong" not in repr(scene.settings)
        assert server.mails == []
        mailing(scene, server, **account, smtp_tls="starttls")
        scene.tell(40)
    assert server.encrypted == [True]
    assert len(server.mails) == 1


def test_a_trial_reaches_whoever_it_is_for_and_tells_of_nothing(scene: Scene, receiver: WebhookReceiver) -> None:
    scene.channel(receiver.address)
    channel = scene.kept.channel("shift")
    message = trial(scene.core.log.origin, "shift", scene.wall_us)
    sender(scene.settings, scene.core.log.origin)(channel, message, scene.wall_us)
    ((headers, body),) = receiver.told
    assert (json.loads(body)["items"], headers["idempotency-key"]) == ([], message.id)
    assert SECRET not in repr(channel)
