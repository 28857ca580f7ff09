"""The stores that the contract of `wire.kv.base` is held against, and what each of them can do.

One more store is a line in KINDS and a fixture NAME_settings in conftest.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class StoreKind:
    """A store. The fixture NAME_settings gives a function: the settings that lead to a namespace by its name."""

    name: str
    compares: bool = True  # compare-and-set: an older rev never replaces a newer one
    tells_changes: bool = True
    lists_bodies: bool = True
    remembers_deletions: bool = True
    many: int = 10_000  # documents that a test writes at once in a bearable time


KINDS = (
    StoreKind("embedded"),
    StoreKind("redis"),
    StoreKind(
        "cloudflare", compares=False, tells_changes=False, lists_bodies=False, remembers_deletions=False, many=2_000
    ),
)


def only_stores_that(*capabilities: str) -> pytest.MarkDecorator:
    """For a test of what not every store can do: the others do not run it."""
    able = [kind for kind in KINDS if all(getattr(kind, each) for each in capabilities)]
    return pytest.mark.parametrize("store_kind", able, ids=[kind.name for kind in able], indirect=True)


# What another process does with `kv`, the namespace that its settings name.
_OPENED = """
import sys
from wire.config import Config
from wire.kv.base import Write
kv = Config.load().stores["dev"][0].open()
"""


def another_process(script: str, settings: Mapping[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    """Run a script in a process of its own; `kv` and `Write` are there."""
    return subprocess.Popen([sys.executable, "-c", _OPENED + script, *arguments], cwd=ROOT, env=dict(settings))
