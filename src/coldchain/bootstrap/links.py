"""One-time links over a core: who may ask, what the question is, and the answer into the ledger."""

from __future__ import annotations

from coldchain.bootstrap.core import Core
from coldchain.db.links import SqlLinks
from coldchain.db.queries_api import NotKnown, finding_life
from coldchain.db.queries_parties import handover_by_id, visible_findings
from coldchain.services.access import Access
from coldchain.services.identity import CommandRefused
from coldchain.services.links import (
    MAX_HOURS,
    Answer,
    Link,
    answer_entry,
    finding_question,
    handover_question,
    new_link,
)
from coldchain.services.ports import Clock
from coldchain.services.principals import Principal, secret_digest
from coldchain_ledger.log import Outcome

GONE = "this link was used already, has expired or never existed"


class Links:
    """`services.links.AnswerLinks`."""

    def __init__(self, core: Core, access: Access | None = None, clock: Clock | None = None) -> None:
        """access counts wrong secrets; a command that only issues needs none. clock: for how long a link is good."""
        self._core = core
        self._access = access
        self._clock = clock or core.clock
        self._kept = SqlLinks(core.engine)

    def issue(self, principal: Principal, about: str, hours: float | None) -> tuple[str, Link]:
        question = self._question(principal, about)
        life_h = min(self._core.settings.ask_deadline_h, MAX_HOURS) if hours is None else hours
        secret, link = new_link(principal.org, question, life_h, self._clock())
        self._kept.keep(link)
        return f"/answer/{secret}", link

    def open(self, secret: str, address: str) -> Link:
        count_wrong = self._access.attempt(address) if self._access is not None else lambda: None
        link = self._kept.find(secret_digest(secret))
        if link is None or not link.is_open(self._clock()):
            count_wrong()
            raise NotKnown(GONE)
        return link

    def answer(self, secret: str, address: str, answer: Answer) -> Outcome:
        """Recorded first, spent then: after a crash between the two the ledger, which has the key, takes no other."""
        link, now_us = self.open(secret, address), self._core.clock()
        texts = {"name": answer.name, "remark": answer.remark}
        sealed = {name: self._core.sealed.seal("person", text, now_us) for name, text in texts.items() if text}
        try:
            outcome = self._core.record(answer_entry(link, answer, sealed, now_us))
        except CommandRefused as error:  # another answer to the same link was first
            raise NotKnown(GONE) from error
        self._kept.spend(link.digest, now_us)
        return outcome

    def _question(self, principal: Principal, about: str) -> dict[str, object]:
        """A handover's parties, and whoever may read a finding, may ask about it. Raises NotKnown, CommandRefused."""
        with self._core.engine.connect() as connection:
            handover = handover_by_id(connection, about)
            if handover is None:
                only = None if principal.sees_all else visible_findings(principal.org)
                newest = finding_life(connection, about, only)[-1]
                return finding_question(about, newest.rule, newest.subject, newest.from_us)
        now_us, known = self._core.clock(), self._core.registry.directory
        if not any(known.acts_for(principal.org, party, now_us) for party in (handover["giver"], handover["taker"])):
            raise CommandRefused(f"handover {about} is between {handover['giver']} and {handover['taker']} alone")
        return handover_question(handover)
