"""What a chart may draw: every step of the numbers, and nothing that was not measured."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.rollups import Bucket
from coldchain.domain.rulepacks import Regime, Stage
from coldchain.projections.rollups import Stretch
from coldchain.web.chart import HOUR_US, MAX_ROWS, Chart, Point
from coldchain.web.timeline import WIDTH, Span, boxes, extent

MINUTE = 60_000_000
RULE = Regime(0, rule=Stage("test", -18_000, 500, 900, 600))

points = st.lists(
    st.builds(
        lambda t, mc: Point(t, mc, mc),
        st.integers(0, 14 * 24 * HOUR_US - 1),
        st.one_of(st.none(), st.integers(-40_000, 20_000)),
    ),
    max_size=60,
)


def drawn(chart: Chart) -> dict[str, list[float | bool | None]]:
    return {line["name"]: line["values"] for line in json.loads(chart.lines())["lines"]}


def test_a_line_is_lifted_where_nothing_was_measured_for_too_long() -> None:
    chart = Chart(0, HOUR_US)
    chart.apply([RULE])
    chart.add("box", [Point(t * MINUTE, -20_000, -20_000) for t in (0, 1, 2, 30, 31)])
    assert drawn(chart)["box"] == [-20.0, -20.0, -20.0, None, -20.0, -20.0]


def test_a_short_silence_is_passed_over() -> None:
    chart = Chart(0, HOUR_US)
    chart.apply([RULE])
    chart.add("box", [Point(t * MINUTE, -20_000, -20_000) for t in (0, 9)])
    assert drawn(chart)["box"] == [-20.0, -20.0]


def test_a_line_is_not_lifted_for_another_lines_steps() -> None:
    chart = Chart(0, HOUR_US)
    chart.apply([RULE])
    chart.add("a", [Point(t * MINUTE, -20_000, -20_000) for t in range(10)])
    chart.add("b", [Point(t * MINUTE, -19_000, -19_000) for t in (0, 5, 9)])
    assert None not in drawn(chart)["b"]
    assert drawn(chart)["b"].count(False) == 7


def hour(number: int, low: int, high: int, silent_before: bool = False) -> Stretch:
    from_us = number * HOUR_US
    bucket = Bucket(4, low, high, 4 * low, None, from_us, low, from_us + 45 * MINUTE, high, 0, 1_800_000_000)
    return Stretch("temp/box", from_us, from_us + HOUR_US, bucket, 0.0, silent_before)


def test_hours_are_a_band_lifted_where_nothing_was_known_between_two_of_them() -> None:
    chart = Chart(0, 7 * 24 * HOUR_US, bucket_us=HOUR_US)
    chart.add_stretches("box", [hour(0, -22_000, -20_000, True), hour(1, -21_000, -5_000)])
    chart.add_stretches("box", [hour(2, -23_000, -19_000, True), hour(5, -23_000, -19_000, True)])
    (line,) = json.loads(chart.lines())["lines"]
    assert [value for value in line["values"] if value is not False] == [None, -20, -5, None, -19, None, None, -19]
    assert [value for value in line["low"] if value is not False] == [None, -22, -21, None, -23, None, None, -23]
    assert sum(row.usable for row in chart.rows()) == 16


def test_rules_that_disagree_draw_no_limit() -> None:
    chart = Chart(0, HOUR_US)
    chart.apply([RULE, Regime(0, rule=Stage("test", -12_000, 500, 900, 1_800))])
    assert (chart.limit_mc, chart.silence_us) == (None, HOUR_US // 2)


def test_goods_that_must_not_freeze_have_two_limits_drawn() -> None:
    chart = Chart(0, HOUR_US)
    chart.apply([Regime(0, rule=Stage("test", 8_000, 500, 900, 600, low_mc=2_000))])
    assert json.loads(chart.lines())["limits"] == [8.0, 2.0]


@given(points)
def test_chart_and_table_show_the_same_extremes_and_lose_no_point(found: list[Point]) -> None:
    chart = Chart(0, 14 * 24 * HOUR_US)
    chart.add("box", found)
    usable = [point.high_mc for point in found if point.high_mc is not None]
    rows = chart.rows()
    assert sum(row.usable for row in rows) == len(usable)
    assert sum(row.unusable for row in rows) == len(found) - len(usable)
    assert len(rows) <= MAX_ROWS
    values = [v for v in drawn(chart).get("box", []) if v is not None and v is not False]
    assert max(values, default=None) == (max(usable) / 1000 if usable else None)
    low = json.loads(chart.envelope("warmest", "coldest"))["lines"][1]["values"]
    assert min((v for v in low if v is not None and v is not False), default=None) == (
        min(usable) / 1000 if usable else None
    )


def test_a_name_cannot_end_the_element_that_carries_the_numbers() -> None:
    chart = Chart(0, HOUR_US)
    chart.add("</script>", [Point(0, 0, 0)])
    assert "</" not in chart.lines()
    assert json.loads(chart.lines())["lines"][0]["name"] == "</script>"


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.one_of(st.none(), st.integers(0, 1000))), min_size=1, max_size=20),
    st.integers(0, 2000),
)
def test_a_strip_stays_inside_its_frame(found: list[tuple[int, int | None]], end_us: int) -> None:
    spans = [Span(start, None if length is None else start + length, "breach") for start, length in found]
    from_us, to_us = extent(spans, end_us)
    for box in boxes(spans, from_us, to_us):
        assert 0 <= box.x <= box.x + box.width <= WIDTH + 0.1
        assert box.tone == "bad"
