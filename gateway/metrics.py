"""GET /metrics: what this gateway process does, for Prometheus. No series names a tenant, key, model or caller."""

from __future__ import annotations

import hmac
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString

from gateway.incoming import Incoming
from gateway.mirror import Mirror
from gateway.outbox import Outbox
from gateway.policies import Policies
from gateway.pricebook import Prices
from wire.events import Denied

_P = "spendops_gateway"
_OTHER = "other"  # paths come from callers
_CLOSED = "closed"  # the caller left before any answer
_CLASSES = (_CLOSED, "1xx", "2xx", "3xx", "4xx", "5xx")  # by the first digit of the status
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SOURCES = ("store", "last-known-good")


class Exposition(NamedTuple):
    """An answer to a scraper."""

    content_type: bytes
    body: bytes


class Metrics:
    """Counts as calls pass, in plain numbers on the event loop; they become series when somebody asks."""

    def __init__(self, env: str, routes: Iterable[str]) -> None:
        self._env = env
        self._requests = {route: dict.fromkeys(_CLASSES, 0) for route in (*routes, _OTHER)}
        self._denials = dict.fromkeys(Denied, 0)
        self._in_flight = 0
        self._added = [0] * (len(_SECONDS) + 1)
        self._added_sum = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(_Collected(self._series))

    def began(self) -> None:
        """A request has come."""
        self._in_flight += 1

    def ended(self, route: str, status: int) -> None:
        """A request was answered; status 0: it was not, as its caller left."""
        self._in_flight -= 1
        (self._requests.get(route) or self._requests[_OTHER])[_CLASSES[status // 100]] += 1

    def denied(self, reason: Denied) -> None:
        """A request was refused."""
        self._denials[reason] += 1

    def added(self, seconds: float) -> None:
        """The gateway's own share of a call is known."""
        self._added[bisect_left(_SECONDS, seconds)] += 1
        self._added_sum += seconds

    def watch(self, mirror: Mirror, policies: Policies, prices: Prices, outbox: Outbox) -> None:
        """Tell of these, too, as they are when somebody asks."""
        self._registry.register(_Collected(lambda: _state(mirror, policies, prices, outbox)))

    def exposition(self, accept: str) -> Exposition:
        """All series, in the format that a scraper asks for."""
        encode, content_type = choose_encoder(accept)
        return Exposition(content_type.encode(), encode(self._registry))

    def _series(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(f"{_P}_info", "The environment that this gateway serves.", labels=["env"])
        info.add_metric([self._env], 1)
        requests = CounterMetricFamily(
            f"{_P}_requests",
            "Requests answered, by route and class of status; closed: the caller left before.",
            labels=["route", "status"],
        )
        for route, counted in self._requests.items():
            for status, count in counted.items():
                requests.add_metric([route, status], count)
        denials = CounterMetricFamily(f"{_P}_denials", "Requests refused, by reason.", labels=["reason"])
        for reason, count in self._denials.items():
            denials.add_metric([reason.value], count)
        bounds = [*map(floatToGoString, _SECONDS), "+Inf"]
        added = HistogramMetricFamily(
            f"{_P}_added_latency_seconds",
            "What the gateway itself adds to a call: from the whole request to its way to the provider, and from the "
            "provider's last byte to the stored event.",
            buckets=list(zip(bounds, accumulate(self._added), strict=True)),
            sum_value=self._added_sum,
        )
        in_flight = GaugeMetricFamily(f"{_P}_requests_in_flight", "Requests being answered now.", self._in_flight)
        yield from (info, requests, in_flight, denials, added)


def may_scrape(request: Incoming, token: str, *, behind_proxy: bool = False) -> bool:
    """Whether somebody may read metrics: with the token where one is set, else from this machine only.

    Behind a proxy every caller comes from the proxy: then only the token tells who may.
    """
    if token:
        return hmac.compare_digest(request.key.encode("latin-1", "replace"), token.encode())
    if behind_proxy or request.header(b"x-forwarded-for") or request.header(b"forwarded"):
        return False  # a proxy on this machine speaks for somebody else
    try:
        return ip_address(request.peer).is_loopback
    except ValueError:
        return not request.peer  # a socket in the file system


class _Collected:
    """What the registry asks for series."""

    def __init__(self, read: Callable[[], Iterator[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        return self._read()


def _state(mirror: Mirror, policies: Policies, prices: Prices, outbox: Outbox) -> Iterator[Metric]:
    yield GaugeMetricFamily(f"{_P}_kv_age_seconds", "Since KV last answered.", mirror.age)
    source = GaugeMetricFamily(f"{_P}_kv_source", "1 for where the documents in force come from.", labels=["source"])
    for name in _SOURCES:
        source.add_metric([name], float(mirror.source == name))
    yield source
    yield CounterMetricFamily(f"{_P}_kv_failed_reads", "Looks at KV that failed.", value=mirror.failed_reads)
    yield GaugeMetricFamily(
        f"{_P}_kv_unconfirmed_documents", "Documents in force that KV does not hold.", mirror.doubted
    )
    yield GaugeMetricFamily(f"{_P}_documents", "Policy documents known.", len(policies))
    yield GaugeMetricFamily(f"{_P}_price_version", "The price book in force; 0: none.", prices.version)
    yield GaugeMetricFamily(f"{_P}_queue_pending_events", "Events waiting to be stored.", outbox.pending)
    yield GaugeMetricFamily(f"{_P}_queue_ready", "1 while events can be stored.", float(outbox.ready))
