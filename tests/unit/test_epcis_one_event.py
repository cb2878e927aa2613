"""Which recorded events count, whatever was sent twice, disputed or withdrawn, and in whatever order it came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.events import Event, identified, in_force

EVENTS = st.builds(
    lambda by, event_id, content, spelling, error: identified(
        Event(event_id, "ObjectEvent", 1, "ADD", "", units=(spelling,), by=by, content=content, error=error)
    ),
    st.sampled_from(["polar", "bear"]),
    st.sampled_from(["urn:x:1", "urn:x:2", "urn:x:3"]),
    st.sampled_from(["", "ni:///sha-256;a", "ni:///sha-256;b"]),
    st.sampled_from(["case:1", "case:2"]),
    st.sampled_from(["", "", "", "did_not_occur"]),
)


@given(st.lists(EVENTS), st.randoms())
def test_order_and_repetition_do_not_matter(events: list[Event], random: object) -> None:
    more = [*events, *events[: len(events) // 2]]
    random.shuffle(more)  # type: ignore[attr-defined]
    assert in_force(more) == in_force(events)


@given(st.lists(EVENTS))
def test_what_stands_is_said_stands_once_and_is_not_withdrawn(events: list[Event]) -> None:
    standing, disputed = in_force(events)
    withdrawn = {(event.by, event.event_id) for event in events if event.error}
    said = {(event.by, event.content or event.key) for event in events if (event.by, event.event_id) not in withdrawn}
    assert {(event.by, event.content or event.key) for event in standing} == said
    assert len(standing) == len(said)
    for event in standing:
        same_id = {one.content or one.key for one in events if (one.by, one.event_id) == (event.by, event.event_id)}
        others = [
            one
            for one in events
            if (one.by, one.content or one.key) == (event.by, event.content or event.key)
            and (one.by, one.event_id) not in withdrawn
        ]
        assert (event.key in disputed) == (len(same_id) > 1)
        assert event.key not in disputed or all(one.key in disputed for one in others)
