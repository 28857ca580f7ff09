"""GET /metrics: what this gateway process does, for Prometheus. No series names a tenant, key, model or caller."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from gateway.incoming import Incoming
from gateway.mirror import Mirror
from gateway.outbox import Outbox
from gateway.policies import Policies
from gateway.pricebook import Prices
from wire.events import Denied

_OTHER = "other"  # paths come from callers
_CLOSED = "closed"  # the caller left before any answer
_CLASSES = ("2xx", "3xx", "4xx", "5xx", _CLOSED)
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SOURCES = ("store", "last-known-good")


class Exposition(NamedTuple):
    """An answer to a scraper."""

    content_type: bytes
    body: bytes


class Metrics:
    """Counts as calls pass. Every series is looked up at the start, so that a call costs a few increments."""

    def __init__(self, env: str, routes: Iterable[str]) -> None:
        disable_created_metrics()  # when a series began is of no use here, and doubles their number
        self._registry = CollectorRegistry(auto_describe=False)
        Gauge(
            "spendops_gateway_info", "The environment that this gateway serves.", ["env"], registry=self._registry
        ).labels(env).set(1)
        requests = Counter(
            "spendops_gateway_requests",
            "Requests answered, by route and class of status; closed: the caller left before.",
            ["route", "status"],
            registry=self._registry,
        )
        denials = Counter(
            "spendops_gateway_denials", "Requests refused, by reason.", ["reason"], registry=self._registry
        )
        self._in_flight = Gauge(
            "spendops_gateway_requests_in_flight", "Requests being answered now.", registry=self._registry
        )
        self._added = Histogram(
            "spendops_gateway_added_latency_seconds",
            "What the gateway itself adds to a call: from the whole request to its way to the provider, and from the "
            "provider's last byte to the stored event.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._requests = {
            route: {status: requests.labels(route, status) for status in _CLASSES} for route in (*routes, _OTHER)
        }
        self._denials = {reason: denials.labels(reason.value) for reason in Denied}

    def began(self) -> None:
        """A request has come."""
        self._in_flight.inc()

    def ended(self, route: str, status: int) -> None:
        """A request was answered; status 0: it was not, as its caller left."""
        self._in_flight.dec()
        counted = self._requests.get(route) or self._requests[_OTHER]
        counted[f"{status // 100}xx" if status else _CLOSED].inc()

    def denied(self, reason: Denied) -> None:
        """A request was refused."""
        self._denials[reason].inc()

    def added(self, seconds: float) -> None:
        """The gateway's own share of a call is known."""
        self._added.observe(seconds)

    def watch(self, mirror: Mirror, policies: Policies, prices: Prices, outbox: Outbox) -> None:
        """Tell of these, too, as they are when somebody asks."""
        self._registry.register(_State(lambda: _state(mirror, policies, prices, outbox)))

    def exposition(self, accept: str) -> Exposition:
        """All series, in the format that a scraper asks for."""
        encode, content_type = choose_encoder(accept)
        return Exposition(content_type.encode(), encode(self._registry))


def may_scrape(request: Incoming, token: str) -> bool:
    """Whether somebody may read metrics: with the token where one is set, else from this machine only."""
    if token:
        return hmac.compare_digest(request.key.encode("latin-1", "replace"), token.encode())
    if request.header(b"x-forwarded-for") or request.header(b"forwarded"):
        return False  # a proxy on this machine speaks for somebody else
    try:
        return ip_address(request.peer).is_loopback
    except ValueError:
        return not request.peer  # a socket in the file system


class _State:
    """A collector: nothing is counted, the state is read when somebody asks."""

    def __init__(self, read: Callable[[], Iterator[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        return self._read()


def _state(mirror: Mirror, policies: Policies, prices: Prices, outbox: Outbox) -> Iterator[Metric]:
    yield GaugeMetricFamily("spendops_gateway_kv_age_seconds", "Since KV last answered.", mirror.age)
    source = GaugeMetricFamily(
        "spendops_gateway_kv_source", "1 for where the documents in force come from.", labels=["source"]
    )
    for name in _SOURCES:
        source.add_metric([name], float(mirror.source == name))
    yield source
    yield CounterMetricFamily("spendops_gateway_kv_failed_reads", "Looks at KV that failed.", value=mirror.failed_reads)
    yield GaugeMetricFamily(
        "spendops_gateway_kv_unconfirmed_documents", "Documents in force that KV does not hold.", mirror.doubted
    )
    yield GaugeMetricFamily("spendops_gateway_documents", "Policy documents known.", len(policies))
    yield GaugeMetricFamily("spendops_gateway_price_version", "The price book in force; 0: none.", prices.version)
    yield GaugeMetricFamily("spendops_gateway_queue_pending_events", "Events waiting to be stored.", outbox.pending)
    yield GaugeMetricFamily("spendops_gateway_queue_ready", "1 while events can be stored.", float(outbox.ready))
