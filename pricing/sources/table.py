"""List prices from a file of our own form: a JSON list or a CSV table of provider, model, unit, price, per, from.

It is the example of a second source: one file with a `read()` that gives a catalogue. docs/pricing.md says its columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pricing.sources.base import Catalogue, ListedModel, ListedProvider, SourceError
from pricing.typed import Entry, entries_from_rows, rows_of_file
from tenants.errors import ManyRefusedError
from wire.prices import ModelPrices, PricePeriod, ProviderRules

NAME = "table"


class TableFile:
    """A table of prices on disk, read anew by each sync."""

    name = NAME

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Catalogue:
        """The whole table. Raises SourceError naming the first line that cannot be taken, and how many there are."""
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise SourceError(f"The table of prices {self._path.name} cannot be read: {error.strerror}.") from error
        try:
            entries = entries_from_rows(rows_of_file(content))
        except ManyRefusedError as error:
            raise SourceError(f"{self._path.name}: {error.message}") from error
        return catalogue_of(entries, hashlib.sha256(content).hexdigest()[:12])


def catalogue_of(entries: Sequence[Entry], source_version: str) -> Catalogue:
    """Lines of a table as a catalogue; the version is the beginning of the file's digest. Raises SourceError."""
    providers: dict[str, dict[str, list[Entry]]] = {}
    for entry in entries:
        providers.setdefault(entry.provider, {}).setdefault(entry.model, []).append(entry)
    listed = tuple(_provider(name, models) for name, models in providers.items())
    return Catalogue(source=NAME, source_version=source_version, providers=listed)


def _provider(name: str, models: dict[str, list[Entry]]) -> ListedProvider:
    # exact names first, so that a prefix never takes another model's name
    rules = sorted(
        ((entries[0].clause or {"equals": model.lower()}, model) for model, entries in models.items()),
        key=lambda rule: "equals" not in rule[0],
    )
    urls = dict.fromkeys(entry.source_url for entries in models.values() for entry in entries if entry.source_url)
    return ListedProvider(
        id=name,
        name=name,
        pricing_urls=tuple(urls),
        rules=ProviderRules(tuple(rules)),
        models=tuple(
            ListedModel(id=model, note=entries[0].note, prices=prices_of(model, entries))
            for model, entries in models.items()
        ),
    )


def prices_of(model: str, entries: Sequence[Entry]) -> ModelPrices:
    """A model's periods from its lines, by day. Raises SourceError when spans overlap.

    Lines without a day hold from 2000 on, which is always: their price becomes the first period.
    """
    periods: list[PricePeriod] = []
    last: Entry | None = None
    for entry in sorted(entries, key=lambda each: each.starts):
        if last is not None and last.ends is not None and last.ends > entry.starts:
            raise SourceError(f"Lines {last.line} and {entry.line} price {model} for the same days.")
        if last is not None and last.ends is not None and last.ends < entry.starts:
            periods.append(PricePeriod({}, last.ends))
        if last is None and entry.starts.year > 2000:
            periods.append(PricePeriod({}))
        periods.append(PricePeriod(dict(sorted(entry.prices.items())), entry.starts if periods else None))
        last = entry
    if last is not None and last.ends is not None:
        periods.append(PricePeriod({}, last.ends))
    return ModelPrices(tuple(periods))
