"""The cases of the contract, read from the JSON files beside this module."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

HERE = Path(__file__).parent
FILES = ("keys.json", "policies.json", "prices.json", "no_prices.json")


class Case(NamedTuple):
    """One case, with what holds for its file."""

    about: str
    env: str
    peppers: tuple[bytes, ...]  # oldest first
    key: str
    documents: dict[str, Any]
    asked: dict[str, Any]
    expected: dict[str, Any]
    sum: str = ""


def shared_documents(env: str) -> dict[str, Any]:
    """What stands in an environment's namespace for all cases."""
    return _read("documents.json")["documents"] if env == "dev" else {}


def all_cases() -> Iterator[Case]:
    for name in FILES:
        file = _read(name)
        peppers = tuple(pepper.encode() for pepper in file["peppers"])
        for case in file["cases"]:
            yield Case(env=file["env"], peppers=peppers, **case)


def encoded(documents: dict[str, Any]) -> dict[str, bytes]:
    """The documents as they stand in KV."""
    return {name: msgspec.json.encode(document) for name, document in documents.items()}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / name).read_text(encoding="utf-8"))
    return found


CASES = list(all_cases())
NAMES = [case.about for case in CASES]
