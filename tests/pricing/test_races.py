"""Two syncs at the same time make one price book."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, transaction

from pricing.actions.sync import SyncRefusedError, sync_prices
from pricing.models import ModelPrice, PriceBook
from tests.pricing.catalogues import acme
from tests.pricing.conftest import SYNC, Given

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def somebody_waits() -> bool:
    """Whether another session stands at a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return cursor.fetchone()[0] > 0


@pytest.mark.parametrize("had", [0, 1])
def test_the_second_of_two_syncs_is_refused_and_writes_nothing(had):
    for _ in range(had):
        sync_prices(Given(acme(output=600_001)), by=SYNC)
    outcome = []

    def second() -> None:
        try:
            outcome.append(sync_prices(Given(acme(output=600_003)), by=SYNC))
        except SyncRefusedError as error:
            outcome.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=second)
    with transaction.atomic():
        sync_prices(Given(acme(output=600_002)), by=SYNC)
        thread.start()
        deadline = time.monotonic() + 20
        while not somebody_waits() and time.monotonic() < deadline:
            time.sleep(0.01)
    thread.join(timeout=20)
    (refused,) = outcome
    assert isinstance(refused, SyncRefusedError)
    assert "Another sync was writing" in str(refused)
    assert PriceBook.objects.count() == had + 1
    current = ModelPrice.objects.get(model__model_id="small", last_version=None)
    assert current.decoded().periods[-1].prices["output"] == 600_002
