"""The European Central Bank's feed: reference rates of the last 90 days, published about 16:00 CET on working days.

https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/html/index.en.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from xml.parsers.expat import ExpatError, ParserCreate

import httpx

from pricing.rates.base import RatesError, Reference, checked, reference

URL = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist-90d.xml"
SECONDS = 20.0
_BYTES_MOST = 5 * 2**20


class Ecb:
    """Asks the feed. It has no redirects that are followed, and a size above which it is not believed."""

    name = "ECB"

    def __init__(self, url: str = URL) -> None:
        self._url = url

    def read(self, *, since: date) -> list[Reference]:
        found = [each for each in _parsed(self._fetched()) if each.day >= since]
        return checked(found, self.name) if found else []

    def _fetched(self) -> bytes:
        body = bytearray()
        try:
            with httpx.stream("GET", self._url, timeout=SECONDS, follow_redirects=False) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise RatesError(f"{self._url} answered with {answer.status_code}.")
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _BYTES_MOST:
                        raise RatesError(f"{self._url} answered with more than {_BYTES_MOST:,} bytes.")
        except httpx.HTTPError as error:
            raise RatesError(f"{self._url} cannot be reached: {error or type(error).__name__}.") from error
        return bytes(body)


def _parsed(body: bytes) -> Iterator[Reference]:
    """The figures of `<Cube time="2026-11-20"><Cube currency="USD" rate="1.1582"/>…`. Raises RatesError."""
    found: list[Reference] = []
    days: list[date] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if name != "Cube":
            return
        if "time" in attributes:
            days.append(date.fromisoformat(attributes["time"]))
        elif "currency" in attributes and days:
            found.append(reference(days[-1], attributes["currency"], attributes.get("rate", "")))

    def refuse(*_: object) -> None:
        raise RatesError("The feed declares a document type, which rates need not.")

    parser = ParserCreate()
    parser.StartElementHandler = begin
    parser.StartDoctypeDeclHandler = refuse  # no entities: a short answer stays short
    try:
        parser.Parse(body, True)
    except (ExpatError, ValueError) as error:
        raise RatesError(f"The feed is not what it should be: {error}.") from error
    yield from found
