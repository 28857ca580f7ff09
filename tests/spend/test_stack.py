"""Figure, chart and table are made of one set of numbers and come to the same sum, to the last decimal."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spend.charts import OPEN_DAY, daily_chart
from spend.comparison import compare
from spend.stack import SHOWN_GROUPS, Sum, stack
from tenants.frame.charts import DARK, OTHER, SERIES

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 21)
TOKENS = Path(__file__).resolve().parents[2] / "static" / "css" / "tokens.css"


class Row(NamedTuple):
    day: date
    group: str
    charge: Decimal
    cost: Decimal = Decimal(0)
    requests: int = 1
    input_tokens: int = 10
    output_tokens: int = 5
    unpriced: int = 0
    errors: int = 0


def row(day: int, group: str, charge: str, **rest) -> Row:
    return Row(FIRST + timedelta(days=day - 1), group, Decimal(charge), **rest)


def drawn(chart) -> list[list[Decimal]]:
    return [[Decimal(value) for value in bars["y"]] for bars in chart.figure["data"]]


rows = st.lists(
    st.builds(
        Row,
        day=st.dates(FIRST, LAST),
        group=st.sampled_from([f"model-{number}" for number in range(12)]),
        charge=st.decimals(min_value=-5, max_value=10**9, places=12),
        cost=st.just(Decimal(0)),
        requests=st.integers(0, 100),
        input_tokens=st.just(10),
        output_tokens=st.just(5),
        unpriced=st.just(0),
        errors=st.just(0),
    ),
    max_size=60,
)


@settings(max_examples=30, deadline=None)
@given(rows)
def test_what_is_drawn_is_what_the_table_and_the_figure_say(rows):
    spend = stack(rows, FIRST, LAST, {})
    total = sum((each.charge for each in rows), Decimal(0))
    bars = drawn(daily_chart(spend, today=LAST, axis_last=LAST))
    assert spend.total.charge == total
    assert sum(map(sum, bars), Decimal(0)) == total
    assert sum((each.total for each in spend.series), Decimal(0)) == total
    assert sum(spend.day_totals) == total
    assert sum((group.sum.charge for group in spend.groups), Decimal(0)) == total


@settings(max_examples=30, deadline=None)
@given(rows)
def test_a_running_total_ends_at_the_total(rows):
    spend = stack(rows, FIRST, LAST, {})
    bars = drawn(daily_chart(spend, today=LAST, axis_last=LAST, cumulative=True))
    assert sum((band[-1] for band in bars), Decimal(0)) == spend.total.charge


def test_every_day_is_there_and_only_today_is_hatched():
    spend = stack([row(1, "a", "1"), row(21, "a", "2")], FIRST, LAST, {})
    (bars,) = daily_chart(spend, today=LAST, axis_last=date(2026, 11, 30)).figure["data"]
    assert len(bars["x"]) == 21
    assert bars["marker"]["pattern"]["shape"] == [""] * 20 + [OPEN_DAY]


def test_groups_beyond_the_colours_share_one_band():
    spend = stack([row(1, f"m{number}", str(number)) for number in range(1, 12)], FIRST, LAST, {"m11": "Eleven"})
    assert [each.number for each in spend.series] == [1, 2, 3, 4, 5, 6, 7, 0]
    assert spend.series[0].name == "Eleven"
    assert spend.series[-1].name == "4 others"
    assert spend.series[-1].total == Decimal(1 + 2 + 3 + 4)
    assert len(spend.groups) == 11


def test_one_group_too_many_is_shown_by_its_name():
    spend = stack([row(1, f"m{number}", "1") for number in range(SHOWN_GROUPS + 1)], FIRST, LAST, {})
    assert spend.series[-1].name == f"m{SHOWN_GROUPS}"
    assert spend.series[-1].number == 0


def test_names_cannot_bring_markup_into_the_chart():
    spend = stack([row(1, "p_1", "1")], FIRST, LAST, {"p_1": "<b>Search</b>"})
    assert daily_chart(spend, today=LAST, axis_last=LAST).figure["data"][0]["name"] == "&lt;b&gt;Search&lt;/b&gt;"


def test_unpriced_requests_are_not_counted_as_cheap():
    spend = stack([row(1, "a", "3", requests=3), row(1, "a", "0", requests=2, unpriced=2, errors=1)], FIRST, LAST, {})
    assert spend.total.per_request == Decimal(1)
    assert spend.total.error_rate == Decimal("0.2")
    assert stack([], FIRST, LAST, {}).total.per_request is None


@pytest.mark.parametrize(
    ("charges", "form"), [(["46927.82"], ",.0f"), (["2.5"], ",.2f"), (["0.00004155"], ",.6f"), (["0"], ",.0f")]
)
def test_the_axis_has_as_many_places_as_its_amounts_need(charges, form):
    spend = stack([row(1, "a", charge) for charge in charges], FIRST, LAST, {})
    assert daily_chart(spend, today=LAST, axis_last=LAST).figure["layout"]["yaxis"]["tickformat"] == form


def test_colours_are_the_style_sheet_s_and_no_status_or_accent_colour():
    css = TOKENS.read_text()
    colours = dict(re.findall(r"--so-([\w-]+): light-dark\((#\w{6}), #\w{6}\)", css))
    both = dict(re.findall(r"--so-([\w-]+): light-dark\((#\w{6}, #\w{6})\)", css))
    assert [both[f"series-{number}"] for number in range(1, SHOWN_GROUPS + 1)] == [", ".join(pair) for pair in SERIES]
    assert both["series-other"] == ", ".join(OTHER)
    taken = {value for name, value in colours.items() if name.split("-")[0] in ("ok", "warn", "bad", "accent")}
    assert not taken & {light for light, _ in (*SERIES, OTHER)}
    assert len(DARK) == len(SERIES) + 7


def test_comparison():
    days = (date(2026, 10, 1), date(2026, 10, 20))
    assert compare(Sum(charge=Decimal("117.2")), Sum(charge=Decimal(100)), days) == (
        "up",
        "17.2%",
        "$100.00 on 1–20 Oct 2026",
    )
    assert compare(Sum(charge=Decimal(50)), Sum(charge=Decimal(100)), days).direction == "down"
    assert compare(Sum(charge=Decimal(50)), Sum(), days).change == "new"
    assert compare(Sum(), Sum(), days) is None
