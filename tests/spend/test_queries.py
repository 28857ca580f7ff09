"""The questions: what they count, whom they show, how they page. Tenants never see one another."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from spend.clickhouse.client import forget_connections
from spend.clickhouse.errors import UnavailableError
from spend.ingest import store_denials, store_usage
from spend.queries import windows as windows_module
from spend.queries.daily import daily_spend
from spend.queries.denials import denials_by_reason, find_denials
from spend.queries.drivers import Driver, drivers
from spend.queries.freshness import complete_to, freshness
from spend.queries.requests import find_requests, models_used, request_by_id
from spend.queries.totals import totals
from spend.queries.unpriced import unpriced_models
from spend.queries.windows import Spent, Window, spent_in_windows
from spend.zones import moment_of
from tests.spend.conftest import count, tenant
from tests.spend.events import NOON, TENANT, denial, unpriced, usage
from wire.events import Denied, Status

pytestmark = pytest.mark.usefixtures("queues", "clickhouse")
DAY = NOON.date()
STRANGER = "t_stranger1"
COST = Decimal("0.00004155")
PICO = 41_550_000


@pytest.fixture(autouse=True)
def _afternoon():
    with time_machine.travel(NOON + timedelta(hours=2), tick=True):
        yield


def test_daily_spend_is_exact_by_day_and_group():
    count(
        [
            usage(1, charge="0.1", cost="0.09", env="prod", units={"input": 10, "output": 2, "cache_read": 5}),
            usage(2, charge="0.2", cost="0.1", status=Status.ERROR, http_status=500),
            unpriced(3),
            usage(4, NOON - timedelta(days=1), charge="0.000000000001", cost="0"),
        ]
    )
    rows = daily_spend(TENANT, DAY - timedelta(days=1), DAY, group_by="model")
    assert rows == [
        (DAY - timedelta(days=1), "gpt-4o-mini", 1, 21, 64, 0, Decimal(0), Decimal("0.000000000001"), 0, 0),
        (DAY, "acme-7b", 1, 21, 64, 0, Decimal(0), Decimal(0), 1, 0),
        (DAY, "gpt-4o-mini", 2, 36, 66, 5, Decimal("0.19"), Decimal("0.3"), 0, 1),
    ]
    assert all(isinstance(row.charge, Decimal) for row in rows)
    prod = daily_spend(TENANT, DAY, DAY, group_by="env", envs=["prod"])
    assert [(row.group, row.requests) for row in prod] == [("prod", 1)]
    assert daily_spend(TENANT, DAY + timedelta(days=1), DAY + timedelta(days=9), group_by="model") == []


def test_totals_are_zero_without_use():
    assert totals(TENANT, DAY, DAY) == (0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_drivers_are_what_is_charged_most():
    for number, model in enumerate(["gpt-5", "gpt-4o", "gpt-4.1", "free", "gpt-4o-mini"]):
        charge = "0" if model == "free" else f"{number + 1}"
        count([usage(number, model_asked=model, model_priced=model, charge=charge, cost=charge)])
    assert drivers(TENANT, DAY, DAY) == [
        Driver("gpt-4o-mini", 1, Decimal(5)),
        Driver("gpt-4.1", 1, Decimal(3)),
        Driver("gpt-4o", 1, Decimal(2)),
    ]
    assert drivers(TENANT, DAY, DAY, group_by="project") == [Driver("p_checkout01", 5, Decimal(11))]
    assert drivers(TENANT, DAY, DAY, most=10)[-1].group == "gpt-5"


def test_requests_are_found_by_what_they_carry():
    plain = usage(1, NOON, request_id="r-1")
    other = usage(2, NOON + timedelta(seconds=1), env="prod", key="k_batch", project="p_other00001")
    dated = usage(3, NOON + timedelta(seconds=2), model_asked="gpt-4o-2024-08-06", model_priced="gpt-4o")
    failed = usage(4, NOON + timedelta(seconds=3), status=Status.UNREACHABLE, upstream_request_id="up-4")
    count([plain, other, dated, failed])

    def found(**filters):
        return [str(row.event_id) for row in find_requests(TENANT, DAY, DAY, **filters)]

    assert found() == [each.event_id for each in (failed, dated, other, plain)]
    assert found(envs=["prod"]) == [other.event_id]
    assert found(key="k_batch", project="p_other00001") == [other.event_id]
    assert found(status="unreachable") == [failed.event_id]
    assert found(model="gpt-4o") == found(model="gpt-4o-2024-08-06") == [dated.event_id]
    assert found(search=plain.event_id) == found(search=plain.event_id.upper()) == [plain.event_id]
    assert found(search="r-1") == [plain.event_id]
    assert found(search="up-4") == [failed.event_id]
    assert found(search="it's %(tenant_id)s \\ --") == []
    assert found(most=2) == [failed.event_id, dated.event_id]


def test_pages_hold_every_request_once():
    events = [usage(number, NOON + timedelta(milliseconds=number // 7)) for number in range(60)]
    count(events)
    seen, before = [], ""
    while page := find_requests(TENANT, DAY, DAY, before=before, most=7):
        seen += [str(row.event_id) for row in page]
        before = seen[-1]
    assert sorted(seen) == sorted(event.event_id for event in events)
    assert len(seen) == 60
    times = [request_by_id(TENANT, each).ts for each in seen]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("before", ["no id", "00000000-0000-0000-0000-000000000000", "' OR 1 --"])
def test_a_page_after_what_does_not_exist_is_the_first(before):
    count([usage(1)])
    store_denials([denial(1)])
    assert len(find_requests(TENANT, DAY, DAY, before=before)) == 1
    assert len(find_denials(TENANT, DAY, DAY, before=before)) == 1


@pytest.mark.parametrize("event_id", ["", "no id", "00000000-0000-0000-0000-000000000000", "' OR 1 --"])
def test_what_is_no_events_id_is_no_request(event_id):
    count([usage(1)])
    assert request_by_id(TENANT, event_id) is None


def test_models_used_are_those_of_the_last_90_days():
    count([usage(1), unpriced(2), usage(3, NOON - timedelta(days=100), model_priced="old")])
    assert models_used(TENANT) == ["acme-7b", "gpt-4o-mini"]


def test_denials_are_counted_by_reason_and_found_one_by_one():
    store_denials(
        [denial(number, NOON - timedelta(seconds=number), reason=Denied.RATE_LIMITED) for number in range(3)]
        + [denial(9, env="prod", key="k_batch")]
    )
    store_denials([denial(9, env="prod", key="k_batch")])
    assert denials_by_reason(TENANT, DAY, DAY) == [("rate_limited", 3), ("budget_exhausted", 1)]
    assert denials_by_reason(TENANT, DAY, DAY, envs=["prod"], key="k_batch") == [("budget_exhausted", 1)]
    first = find_denials(TENANT, DAY, DAY, reason="rate_limited", most=2)
    rest = find_denials(TENANT, DAY, DAY, reason="rate_limited", before=str(first[-1].event_id))
    assert [row.ts for row in first + rest] == [NOON - timedelta(seconds=number) for number in range(3)]


def test_days_of_single_events_are_the_tenants_own():
    tenant(TENANT, "Asia/Kolkata")
    evening = datetime(2026, 11, 20, 18, 29, 59, 999000, tzinfo=UTC)
    late, early = usage(1, evening), usage(2, evening + timedelta(milliseconds=1))
    count([late, early])
    store_denials([denial(1, evening), denial(2, evening + timedelta(milliseconds=1))])
    for day, event in ((DAY, late), (DAY + timedelta(days=1), early)):
        assert [str(row.event_id) for row in find_requests(TENANT, day, day)] == [event.event_id]
        assert [row.day for row in daily_spend(TENANT, day, day, group_by="model")] == [day]
        assert len(find_denials(TENANT, day, day)) == denials_by_reason(TENANT, day, day)[0].requests == 1


def test_unpriced_models_of_the_last_30_days():
    first, last = NOON - timedelta(days=3), NOON
    count(
        [
            unpriced(1, first, units={"input": 5, "output": 2}),
            unpriced(2, last, units={"input": 1}),
            unpriced(3, model_asked="other", provider="acme"),
            unpriced(4, model_asked="overridden", charge="0.5"),
            unpriced(5, NOON - timedelta(days=31), model_asked="old"),
            usage(6),
        ]
    )
    assert unpriced_models(TENANT) == [
        ("acme-7b", "openai", 2, 8, first, last, ["dev"]),
        ("other", "acme", 1, 85, NOON, NOON, ["dev"]),
    ]


def test_a_stranger_sees_nothing():
    event, refused = usage(1), denial(1)
    count([event, unpriced(2)])
    store_denials([refused])
    days = (DAY - timedelta(days=3), DAY + timedelta(days=3))
    assert daily_spend(STRANGER, *days, group_by="model") == []
    assert totals(STRANGER, *days).requests == 0
    assert drivers(STRANGER, *days) == []
    assert find_requests(STRANGER, *days) == []
    assert find_requests(STRANGER, *days, search=event.event_id) == []
    assert request_by_id(STRANGER, event.event_id) is None
    assert models_used(STRANGER) == []
    assert find_denials(STRANGER, *days) == []
    assert denials_by_reason(STRANGER, *days) == []
    assert unpriced_models(STRANGER) == []
    assert freshness(STRANGER) == (None, 0, 0, 0, 0, 0)
    assert spent_in_windows([Window("b", STRANGER, *days)])["b"].charge == 0


def test_windows_hold_their_days_and_environments():
    tenant("t_kolkata01", "Asia/Kolkata")
    count([usage(number, env=env) for number, env in enumerate(["dev", "dev", "prod"])])
    count([usage(3, NOON - timedelta(days=10)), usage(4, NOON + timedelta(hours=7), tenant="t_kolkata01")])
    month = date(2026, 11, 1)
    found = spent_in_windows(
        [
            Window("month", TENANT, month, date(2026, 11, 30)),
            Window("day", TENANT, DAY, DAY),
            Window("prod", TENANT, month, DAY, ("prod",)),
            Window("both", TENANT, month, DAY, ("dev", "prod")),
            Window("nothing", TENANT, month, month, ("prod",)),
            Window("kolkata, its 20th", "t_kolkata01", DAY, DAY),
            Window("kolkata, its 21st", "t_kolkata01", DAY + timedelta(days=1), DAY + timedelta(days=1)),
            Window("it's a \\ stranger", STRANGER, month, DAY),
        ]
    )
    assert {name: (spent.charge, spent.requests) for name, spent in found.items()} == {
        "month": (4 * PICO, 4),
        "day": (3 * PICO, 3),
        "prod": (PICO, 1),
        "both": (4 * PICO, 4),
        "nothing": (0, 0),
        "kolkata, its 20th": (0, 0),
        "kolkata, its 21st": (PICO, 1),
        "it's a \\ stranger": (0, 0),
    }
    assert spent_in_windows([]) == {}


def test_thousands_of_windows_are_few_statements(monkeypatch):
    count([usage(number, tenant=f"t_{number:08d}") for number in range(30)])
    statements = []
    ask = windows_module.ask
    monkeypatch.setattr(windows_module, "ask", lambda *args, **kw: statements.append(1) or ask(*args, **kw))
    asked = [Window(f"b_{number:012d}", f"t_{number:08d}", DAY, DAY, ("dev", "prod")) for number in range(2500)]
    found = spent_in_windows(asked)
    assert sum(spent.charge for spent in found.values()) == 30 * PICO
    assert (len(found), len(statements)) == (2500, 3)


def test_freshness_is_now_to_the_minute_when_all_is_counted(queues):
    assert freshness(TENANT) == (None, 0, 0, 0, 0, 0)
    queues.send(usage(1), unpriced(2))
    queues.consume()
    assert freshness(TENANT) == (NOON + timedelta(hours=2), 2, 1, 85, 2, 0)
    assert spent_in_windows([Window("b", TENANT, DAY, DAY)]) == {"b": Spent(PICO, 2, NOON + timedelta(hours=2))}


def test_freshness_names_the_oldest_event_that_waits(queues):
    count([usage(1)])
    queues.send(usage(2, env="prod"))
    sent = moment_of(queues.usage["prod"].depth().oldest_ms)
    with time_machine.travel(NOON + timedelta(hours=3)):
        assert freshness(TENANT).data_to == sent  # in the queue
        (message,) = queues.usage["prod"].claim()
        assert freshness(TENANT).data_to == sent  # in a consumer's hands
        store_usage([usage(2, env="prod")], since_ms=message.sent_ms)
        queues.usage["prod"].acknowledge([message])
        assert freshness(TENANT).data_to == sent  # stored and marked, not counted
        assert spent_in_windows([Window("b", TENANT, DAY, DAY)])["b"].data_to == sent
        queues.consume()
        assert freshness(TENANT).data_to == NOON + timedelta(hours=3)


def test_an_event_that_was_put_aside_is_not_claimed_to_be_counted(queues):
    count([usage(1)])
    queues.send(usage(2))
    queue = queues.usage["dev"]
    sent = moment_of(queue.depth().oldest_ms)
    with time_machine.travel(NOON + timedelta(hours=3)):
        queue.bury(queue.claim(), "not acknowledged")
        fresh = freshness(TENANT)
        assert (fresh.data_to, fresh.set_aside) == (sent, 1)
        assert spent_in_windows([Window("b", TENANT, DAY, DAY)])["b"].data_to == sent
        assert queue.redeliver_dead() == 1
        queues.consume()
        fresh = freshness(TENANT)
        assert (fresh.data_to, fresh.set_aside, fresh.requests) == (NOON + timedelta(hours=3), 0, 2)


def test_the_revision_changes_with_every_figure_and_only_then():
    first = unpriced(1)
    count([first])
    one = freshness(TENANT).revision
    count([first])
    assert freshness(TENANT).revision == one
    count([unpriced(1, rev=2, charge="1", cost="1")])
    two = freshness(TENANT).revision
    count([usage(2, NOON - timedelta(days=200))])
    assert one < two < freshness(TENANT).revision


def test_without_clickhouse_a_question_says_so(settings):
    settings.CLICKHOUSE_URL = "clickhouse://127.0.0.1:1/spendops"
    forget_connections()
    for ask in (lambda: totals(TENANT, DAY, DAY), lambda: freshness(TENANT), lambda: find_requests(TENANT, DAY, DAY)):
        with pytest.raises(UnavailableError, match="does not answer"):
            ask()
    assert complete_to() == NOON + timedelta(hours=2)
