"""A model field for exact spend."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldError
from django.db import models

from wire.money import pico_from_usd_string, usd_string

_EXACT_LOOKUPS = frozenset({"exact", "in", "isnull"})


class PicoField(models.CharField):
    """Pico-USD: an int in Python, in SQL the decimal text that money has in events ("0.000041550000").

    64 bits of pico-USD end at $9.2 million and SQLite keeps decimals as floats, so the column is text. Text does not
    sort by amount: comparisons are made in Python, on integers, and a query that tries to compare raises FieldError.
    """

    description = "An exact amount of pico-USD"
    _pyi_private_set_type: int  # what type checkers see (django-stubs)
    _pyi_private_get_type: int  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = 48
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, kwargs

    def from_db_value(self, value: str | None, *_: Any) -> int | None:
        return None if value is None else pico_from_usd_string(value)

    def to_python(self, value: Any) -> int | None:
        return pico_from_usd_string(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return usd_string(value) if isinstance(value, int) else value

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name not in _EXACT_LOOKUPS:
            raise FieldError(f"{self.name} is text in SQL: {lookup_name} would compare letters. Compare in Python.")
        return super().get_lookup(lookup_name)
