"""The contract fixtures, run against our own implementation. How others run them: fixtures/README.md."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wire import documents, events
from wire.cost import cost_of
from wire.keys import hash_of_sha256, key_hash, parse_key
from wire.prices import Tiered

FIXTURES = Path(__file__).parent / "fixtures"


def load(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def cases(name: str, part: str = "cases") -> list[Any]:
    """The cases of a file, each under what it is about."""
    found = load(name)[part]
    return [pytest.param(case, id=case.get("about") or case.get("name")[:60]) for case in found]


@pytest.mark.parametrize("case", cases("keys.json"))
def test_keys(case):
    pepper = load("keys.json")["pepper"].encode()
    digest = hashlib.sha256(case["key"].encode()).digest()
    assert digest.hex() == case["sha256"]
    assert key_hash(case["key"], pepper) == hash_of_sha256(digest, pepper) == case["hash"]
    parsed = parse_key(case["key"])
    assert (parsed._asdict() if parsed else None) == case["parsed"]


DOCUMENTS = {
    "key": (documents.decode_key, documents.key_document),
    "tenant": (documents.decode_tenant, documents.tenant_document),
    "routing": (documents.decode_routing, lambda rest: documents.routing_document(rest.removeprefix("tenant:"))),
    "missing": (documents.decode_missing, None),
}
EVENTS = {"usage": events.decode_usage, "denial": events.decode_denial}


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def check_reading(decode: Any, encode: Any, given: Any, means: Any) -> None:
    raw = msgspec.json.encode(given)
    if means is None:
        with pytest.raises(msgspec.ValidationError):
            decode(raw)
        return
    read = decode(raw)
    whole = everything(read)
    # Fields that are younger than a case are not named in it, and hold their default there.
    younger = {
        field.name: everything(default_of(field))
        for field in msgspec.structs.fields(read)
        if field.name not in means and not field.required
    }
    assert whole == means | younger
    assert decode(encode(read)) == read


def everything(value: Any) -> Any:
    """A document as plain JSON with every field, those that hold their default included."""
    if isinstance(value, msgspec.Struct):
        return {name: everything(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: everything(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [everything(inner) for inner in value]
    return value


@pytest.mark.parametrize("case", cases("documents.json", "documents"))
def test_documents(case):
    decode, name = DOCUMENTS[case["kind"]]
    check_reading(decode, documents.encode, case["document"], case["means"])
    if case["kind"] == "missing":
        assert documents.missing_document(case["document"]["provider"], case["document"]["model"]) == case["name"]
    else:
        assert name(case["name"].partition(":")[2]) == case["name"]


@pytest.mark.parametrize("case", cases("documents.json", "missing_names"))
def test_names_of_unpriced_models(case):
    assert documents.missing_document(case["provider"], case["model"]) == case["name"]
    assert len(case["name"].encode()) <= 512  # the most that every KV store takes


@pytest.mark.parametrize("case", cases("events.json", "events"))
def test_events(case):
    check_reading(EVENTS[case["kind"]], events.encode, case["event"], case["means"])


@pytest.mark.parametrize("case", cases("cost.json"))
def test_cost(case):
    prices = {
        unit: price if isinstance(price, int) else Tiered(price["base"], tuple(map(tuple, price["tiers"])))
        for unit, price in case["prices"].items()
    }
    cost = cost_of(case["units"], prices)
    assert cost.total == case["total"]
    fields = ("unit", "count", "price", "amount", "priced_as", "tier_above")
    assert [{name: getattr(line, name) for name in fields} for line in cost.lines] == case["lines"]
    assert list(cost.unpriced) == case["unpriced"]
    assert all(line.count * line.price == line.amount for line in cost.lines)
