"""What a gateway tells Prometheus and balancers, and whom."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.incoming import Incoming
from gateway.metrics import Metrics, may_scrape
from tests.gateway.peers import GatewayUnderTest, wait_for

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
CHAT = "/v1/chat/completions"
TOKEN = "a-token-of-enough-letters"


def scrape(gateway: GatewayUnderTest, **headers: str) -> Series:
    answer = httpx.get(f"{gateway.url}/metrics", headers=headers, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    return series[f"spendops_gateway_{name}", tuple(sorted(labels.items()))]


def test_metrics_move(gateway, key):
    before = scrape(gateway)
    assert key.chat().status_code == key.chat(stream=True).status_code == 200
    assert key.chat(model=5).status_code == 400
    httpx.get(f"{gateway.url}/nowhere/at/all", timeout=5)
    httpx.post(f"{gateway.url}{CHAT}", timeout=5)
    after = scrape(gateway)

    def moved(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert moved("requests_total", route=CHAT, status="2xx") == 2
    assert moved("requests_total", route=CHAT, status="4xx") == 2
    assert moved("requests_total", route="other", status="4xx") == 1
    assert moved("denials_total", reason="body_invalid") == moved("denials_total", reason="key_missing") == 1
    assert moved("added_latency_seconds_count") == 2
    assert 0 < moved("added_latency_seconds_sum") < 5
    assert value(after, "requests_in_flight") == 0
    assert value(after, "info", env="dev") == 1
    assert 0 <= value(after, "kv_age_seconds") < 5
    assert value(after, "kv_source", source="store") == 1
    assert value(after, "kv_source", source="last-known-good") == 0
    assert value(after, "documents") >= 1
    assert value(after, "price_version") >= 1
    assert value(after, "queue_ready") == 1
    assert value(after, "queue_pending_events") >= 0


def test_metrics_tell_of_calls_in_flight_and_of_an_outage(make_gateway, provider):
    settings = {"SPENDOPS_PROVIDER_OPENAI_BASE_URL": provider.url, "SPENDOPS_PROVIDER_OPENAI_API_KEY": "sk-x"}
    gateway = make_gateway(**settings).start()
    key, gate = gateway.issue(), threading.Event()
    provider.answers({"model": "gpt-4o-mini"}, gate=gate)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(key.chat)
        wait_for(lambda: provider.seen, "the call at the provider")
        assert value(scrape(gateway), "requests_in_flight") == 1
        gate.set()
        assert answer.result().status_code == 200
    assert value(scrape(gateway), "requests_in_flight") == 0
    before = value(scrape(gateway), "kv_age_seconds")
    gateway.kv._db.execute("ALTER TABLE entries RENAME TO away")
    wait_for(lambda: value(scrape(gateway), "kv_source", source="last-known-good") == 1, "the outage")
    wait_for(lambda: value(scrape(gateway), "kv_age_seconds") > before + 0.2, "age")
    assert value(scrape(gateway), "kv_failed_reads_total") >= 1
    gateway.kv._db.execute("ALTER TABLE away RENAME TO entries")
    wait_for(lambda: value(scrape(gateway), "kv_source", source="store") == 1, "the recovery")


def test_no_series_names_a_caller(gateway):
    key = gateway.issue(project="p_very_own", tier="gold", tags={"owner": "asha"})
    assert key.chat(headers={"x-spendops-user": "end-user-7"}).status_code == 200
    text = httpx.get(f"{gateway.url}/metrics", timeout=5).text
    for name in (key.tenant, key.id, "p_very_own", "gold", "asha", "end-user-7", "gpt-4o-mini"):
        assert name not in text


def test_a_scraper_may_ask_for_openmetrics(gateway):
    answer = httpx.get(
        f"{gateway.url}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}, timeout=5
    )
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_metrics_are_for_this_machine_or_for_the_token(gateway, make_gateway):
    refused = httpx.get(f"{gateway.url}/metrics", headers={"x-forwarded-for": "203.0.113.1"}, timeout=5)
    assert refused.status_code == 403
    assert "SPENDOPS_METRICS_TOKEN" in refused.json()["error"]["message"]
    own = make_gateway(SPENDOPS_METRICS_TOKEN=TOKEN).start()
    for headers in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": "Bearer \xff"}):
        refused = httpx.get(
            f"{own.url}/metrics", headers=[(n.encode(), v.encode("latin-1")) for n, v in headers.items()], timeout=5
        )
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert TOKEN not in refused.text
    assert value(scrape(own, authorization=f"Bearer {TOKEN}", **{"x-forwarded-for": "203.0.113.1"}), "info", env="dev")


@pytest.mark.parametrize(
    ("peer", "allowed"), [("127.0.0.1", True), ("::1", True), ("10.0.0.5", False), ("2001:db8::1", False), ("", True)]
)
def test_who_is_on_this_machine(peer, allowed):
    request = Incoming({"method": "GET", "path": "/metrics", "headers": [], "client": (peer, 1) if peer else None})
    assert may_scrape(request, "") is allowed
    assert may_scrape(request, "", behind_proxy=True) is False


def test_the_buckets_of_added_latency():
    metrics = Metrics("dev", ())
    for seconds in (0.0004, 0.003, 2.0):
        metrics.added(seconds)
    text = metrics.exposition("").body.decode()
    found = {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "spendops_gateway_added_latency_seconds_bucket"
    }
    assert (found[0.0005], found[0.005], found[1.0], found[math.inf]) == (1, 2, 2, 3)


# -- what answers say of themselves ------------------------------------------------------------------------------------


def test_only_what_is_kept_has_an_event(gateway, key):
    kept = [key.chat(), key.chat(model=5), httpx.post(f"{gateway.url}{CHAT}", timeout=5)]
    kept.append(httpx.post(f"{gateway.url}/v1/images", headers={"x-api-key": key.text}, timeout=5))
    assert all(answer.headers.get("x-spendops-event") for answer in kept)
    wait_for(lambda: len(gateway.usage(key)) == 1 and len(gateway.denials(key)) == 2, "the events")
    stored = {event.event_id for event in [*gateway.usage(), *gateway.denials()]}
    assert {answer.headers["x-spendops-event"] for answer in kept} <= stored
    unkept = [
        httpx.get(f"{gateway.url}{CHAT}", timeout=5),
        httpx.get(f"{gateway.url}/nowhere", timeout=5),
        httpx.get(f"{gateway.url}/health", timeout=5),
        httpx.post(f"{gateway.url}/v1/models", timeout=5),
    ]
    assert [answer.headers.get("x-spendops-event") for answer in unkept] == [None] * 4
    assert all(answer.headers["x-request-id"] for answer in unkept)


def test_a_refused_key_is_told_how_to_say_who_one_is(gateway, key):
    answer = httpx.post(f"{gateway.url}{CHAT}", timeout=5)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "www-authenticate" not in key.chat(model=5).headers
