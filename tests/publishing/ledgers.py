"""A ledger in which something has happened: keys made and revoked, documents parked, a price book and a repair held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from django.core.management import call_command
from django.utils import timezone

from publishing.models import KvEntry
from publishing.publisher import Publisher
from publishing.reconcile.run import reconcile
from tenants.actions.keys import disable_key, revoke_key
from tenants.models import ApiKey, Tenant
from tests.publishing.conftest import Stores
from tests.tenants.making import SOMEBODY, issue
from wire.documents import PRICING_BLOB, key_document
from wire.kv.base import KV, DocumentRefusedError, Outcome, Write


class Picky:
    """A store that will not take the documents of some keys."""

    def __init__(self, kv: KV, refused: set[str], why: str = "413: the value is too large") -> None:
        self._kv, self._refused, self._why = kv, refused, why

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        if self._refused & {write.key for write in writes}:
            raise DocumentRefusedError(self._why)
        return self._kv.write(writes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kv, name)


def refuse(stores: Stores, *keys: ApiKey) -> set[str]:
    """Have the stores refuse the documents of these keys. What is taken out of the set is refused no more."""
    refused = {key_document(key.hash) for key in keys}
    stores.opening = lambda kv: Picky(kv, refused)  # type: ignore[assignment,return-value]
    return refused


def park(stores: Stores, publisher: Publisher, *keys: ApiKey) -> set[str]:
    """Have the documents of these keys, which are not published yet, refused and parked."""
    refused = refuse(stores, *keys)
    publisher.close()
    publisher.once()
    return refused


def hold_prices(publisher: Publisher, env: str) -> KvEntry:
    """Publish a price book, then have one with two thirds of its models wait to be published, which a guard holds."""
    call_command("sync_prices", "--json")
    publisher.once()
    entry = KvEntry.objects.get(env=env, key=PRICING_BLOB)
    book = msgspec.json.decode(bytes(entry.body))
    for provider, models in book["models"].items():
        book["models"][provider] = dict(list(models.items())[: -(len(models) // 3) or None])
    book["rev"] = entry.rev + 1
    KvEntry.objects.filter(pk=entry.pk).update(
        rev=entry.rev + 1, digest="f" * 64, body=msgspec.json.encode(book), next_at=timezone.now()
    )
    publisher.once()
    entry.refresh_from_db()
    assert entry.held
    return entry


def hold_repair(stores: Stores, env: str, number: int = 30):
    """Have a store hold many documents that SQL knows nothing of, so that a repair would delete too many."""
    writes = [Write(f"key:{number:064x}", 1, b'{"rev":1}') for number in range(number)]
    stores.reader(env).write(writes)
    return reconcile(stores.of(env), by=SOMEBODY)


def eventful(tenant: Tenant, stores: Stores, publisher: Publisher) -> dict[str, ApiKey]:
    """Keys in all states, and trouble of each kind in dev."""
    names = ("checkout assistant", "support copilot", "search ranking", "nightly batch")
    keys = {name: issue(tenant, name=name, env=env).key for name in names for env in ("dev",)}
    prod = issue(tenant, name="checkout assistant, live", env="prod", rpm=600, allowed_models=["gpt-4o*"]).key
    publisher.once()
    disable_key(key=keys["support copilot"], by=SOMEBODY)
    publisher.once()
    revoke_key(key=keys["search ranking"], by=SOMEBODY)
    publisher.once()
    for env in ("dev", "prod"):
        reconcile(stores.of(env), by=SOMEBODY)
    hold_prices(publisher, "dev")
    hold_repair(stores, "dev")
    keys["too large"] = issue(tenant, name="too <b>large</b>", env="dev").key
    park(stores, publisher, keys["too large"])
    return keys | {"prod": prod}
