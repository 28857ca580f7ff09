"""Exchange rates: what is read, what is refused, and that conversions are exact."""

from __future__ import annotations

import http.server
import threading
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from changes.models import AuditEvent
from pricing.models import ExchangeRate
from pricing.rates.actions import sync_rates
from pricing.rates.base import Rate, RatesError, Reference, reference
from pricing.rates.bundled import Bundled
from pricing.rates.ecb import Ecb
from pricing.rates.queries import currencies_with_rates, history, last_day, rate_on, rates_on
from tests.tenants.making import SOMEBODY

FRIDAY, SATURDAY, SUNDAY, MONDAY = (date(2026, 10, day) for day in (2, 3, 4, 5))


class Listed:
    """A source with these figures."""

    name = "a test's source"

    def __init__(self, *rows: tuple[date, str, str], error: str = "") -> None:
        self._rows = rows
        self._error = error

    def read(self, *, since: date) -> list[Reference]:
        if self._error:
            raise RatesError(self._error)
        return sorted(reference(*row) for row in self._rows if row[0] >= since)


def week() -> Listed:
    return Listed((FRIDAY, "USD", "1.25"), (FRIDAY, "INR", "100"), (MONDAY, "USD", "1.2"), (MONDAY, "INR", "99.123456"))


@pytest.fixture
def rates(db: None) -> None:
    sync_rates([week()], by=SOMEBODY)


def test_an_amount_is_converted_by_the_rate_of_its_day(rates):
    friday = rate_on("INR", FRIDAY)
    assert friday.per_usd == Decimal("80")
    assert friday.from_pico(5 * 10**12) == 400 * 10**6
    assert rate_on("EUR", FRIDAY).from_pico(5 * 10**12) == 4 * 10**6
    assert rate_on("USD", FRIDAY).from_pico(1_500_000) == 2  # half to even, and no rate needed
    assert rate_on("USD", FRIDAY).from_pico(500_000) == 0


def test_a_weekend_has_the_rate_of_the_last_published_day(rates):
    for day in (SATURDAY, SUNDAY):
        assert rate_on("INR", day) == rate_on("INR", FRIDAY)
        assert rate_on("INR", day).day == FRIDAY
    assert rate_on("INR", MONDAY).day == MONDAY
    assert {day: rate.day for day, rate in rates_on("INR", FRIDAY, MONDAY).items()} == {
        FRIDAY: FRIDAY,
        SATURDAY: FRIDAY,
        SUNDAY: FRIDAY,
        MONDAY: MONDAY,
    }


@pytest.mark.parametrize(
    ("currency", "day", "says"),
    [
        ("CHF", MONDAY, "publishes no rate of CHF"),
        ("INR", FRIDAY - timedelta(days=1), "rates begin later, or end on 2026-10-05"),
        ("INR", MONDAY + timedelta(days=31), "no exchange rate of INR for 2026-11-05"),
    ],
)
def test_a_rate_that_is_not_there_is_said(rates, currency, day, says):
    with pytest.raises(RatesError, match=says):
        rate_on(currency, day)


def test_before_the_first_sync_one_is_told_what_to_run(db):
    assert last_day() is None
    assert currencies_with_rates() == ["USD"]
    with pytest.raises(RatesError, match=r"run manage\.py sync_rates"):
        rate_on("EUR", FRIDAY)


@given(pico=st.integers(-(10**24), 10**24), units=st.integers(1, 10**15), usd=st.integers(1, 10**10))
def test_conversions_are_exact_up_to_the_last_micro(pico, units, usd):
    rate = Rate("XXX", FRIDAY, units, usd, "")
    exact = Fraction(pico * units, usd * 10**6)
    assert rate.from_pico(pico) == round(exact)  # Python rounds fractions half to even
    assert rate.to_micro_usd(pico) == round(Fraction(pico * usd, units))


def test_a_sync_adds_what_is_new_and_changes_nothing(rates):
    again = sync_rates([week()], by=SOMEBODY)
    assert (again.added, again.last_day) == (0, MONDAY)
    later = Listed((MONDAY, "USD", "1.3"), (MONDAY + timedelta(days=1), "USD", "1.21"))
    assert sync_rates([later], by=SOMEBODY).added == 1
    assert ExchangeRate.objects.get(currency="USD", day=MONDAY).rate_e8 == 120_000_000
    assert [event.after["rates"] for event in AuditEvent.objects.filter(kind="exchange_rates.added")] == [1, 4]


def test_a_source_that_fails_is_followed_by_the_next(db):
    done = sync_rates([Listed(error="no network"), week()], by=SOMEBODY)
    assert (done.added, done.failed) == (4, ("a test's source: no network",))
    with pytest.raises(RatesError, match="No exchange rates could be read: a test's source: gone"):
        sync_rates([Listed(error="gone")], by=SOMEBODY)


def test_a_leap_is_refused_whole_until_somebody_accepts_it(rates):
    leap = Listed((MONDAY + timedelta(days=1), "USD", "1.21"), (MONDAY + timedelta(days=1), "INR", "9.9"))
    with pytest.raises(RatesError, match="INR moves by more than 50 %"):
        sync_rates([leap], by=SOMEBODY)
    assert last_day() == MONDAY
    assert sync_rates([leap], by=SOMEBODY, accept_leaps=True).added == 2


def test_a_leap_that_was_accepted_is_not_asked_about_again(rates):
    """A source gives the last days anew each time: what is kept was decided, and what follows is compared with it."""
    tuesday, wednesday = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
    rows = [(MONDAY, "INR", "99.123456"), (MONDAY, "USD", "1.2"), (tuesday, "INR", "9.9"), (tuesday, "USD", "1.21")]
    sync_rates([Listed(*rows)], by=SOMEBODY, accept_leaps=True)
    rows += [(wednesday, "INR", "9.8"), (wednesday, "USD", "1.22")]
    assert sync_rates([Listed(*rows)], by=SOMEBODY).added == 2
    rows += [(wednesday + timedelta(days=1), "INR", "99"), (wednesday + timedelta(days=1), "USD", "1.22")]
    with pytest.raises(RatesError, match="INR moves by more than 50 % from 2026-10-07 to 2026-10-08"):
        sync_rates([Listed(*rows)], by=SOMEBODY)


@pytest.mark.parametrize("text", ["", "abc", "-1", "0", "NaN", "Infinity", "1.123456789", "1e12"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(RatesError, match="INR on 2026-10-02"):
        reference(FRIDAY, "INR", text)


def test_the_bundled_history_holds_working_days_since_1999():
    found = Bundled().read(since=date(2024, 12, 30))
    by = {(each.day, each.currency): each.rate_e8 for each in found}
    assert by[date(2024, 12, 31), "USD"] == 103_890_000  # the ECB's figure for 31 December 2024: 1.0389
    assert (date(2025, 1, 1), "USD") not in by  # a holiday
    assert len({each.currency for each in found}) >= 25


def test_the_command_takes_the_bundled_history(db, capsys):
    call_command("sync_rates", "--offline")
    assert "rates added from ECB, as bundled" in capsys.readouterr().out
    newest = last_day()
    assert newest is not None
    assert {"EUR", "USD", "INR", "GBP", "JPY"} <= set(currencies_with_rates())
    assert history("GBP", since=newest)[-1].day == newest
    assert rate_on("JPY", date(2025, 1, 1)).day == date(2024, 12, 31)


FEED = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<Cube><Cube time="2026-10-05"><Cube currency="USD" rate="1.2"/><Cube currency="INR" rate="99.1"/></Cube>
<Cube time="2026-10-02"><Cube currency="USD" rate="1.25"/></Cube></Cube></gesmes:Envelope>"""


@pytest.fixture
def feed():
    """A server at loopback that answers with what is put into it: (status, body)."""
    answer = [(200, FEED.encode())]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer[0]
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A test's output stays its own."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/feed.xml", answer
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_feed_is_read(feed):
    url, _ = feed
    assert [(each.day, each.currency, each.rate_e8) for each in Ecb(url).read(since=FRIDAY)] == [
        (FRIDAY, "USD", 125_000_000),
        (MONDAY, "INR", 9_910_000_000),
        (MONDAY, "USD", 120_000_000),
    ]
    assert len(Ecb(url).read(since=MONDAY)) == 2


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (503, b"", "answered with 503"),
        (302, b"", "answered with 302"),
        (200, b"<html>", "not what it should be"),
        (200, b"<a><Cube time='x'/></a>", "not what it should be"),
        (200, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "declares a document type"),
        (200, b" " * (5 * 2**20 + 1), "more than 5,242,880 bytes"),
    ],
)
def test_a_feed_that_is_none_is_refused(feed, status, body, says):
    url, answer = feed
    answer[0] = (status, body)
    with pytest.raises(RatesError, match=says):
        Ecb(url).read(since=FRIDAY)


def test_a_feed_that_is_not_there_is_refused():
    with pytest.raises(RatesError, match="cannot be reached"):
        Ecb("http://127.0.0.1:1/").read(since=FRIDAY)
