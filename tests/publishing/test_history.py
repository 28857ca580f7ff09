"""What documents said is kept for 90 days after it was said last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from publishing.history import forget_old_versions
from publishing.models import KvVersion
from tests.publishing.changing import change_key
from tests.tenants.making import issue, make_tenant
from wire.documents import decode_key, key_document

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize("piece", [1, 1000])
def test_what_no_gateway_was_told_for_90_days_goes_and_the_newest_stays(stores, publisher, monkeypatch, piece):
    monkeypatch.setattr("publishing.history.PIECE", piece)
    with time_machine.travel(BEGIN, tick=False) as clock:
        key = issue(make_tenant()).key
        publisher.once()
        for day in (1, 2, 50):
            clock.move_to(BEGIN + timedelta(days=day))
            change_key(key, rpm=day)
            publisher.once()

        def kept() -> list[int]:
            versions = KvVersion.objects.filter(key=key_document(key.hash)).order_by("rev")
            return [decode_key(each.body).rpm for each in versions]

        clock.move_to(BEGIN + timedelta(days=91))
        assert forget_old_versions() == 0, "it was said until a day later"
        clock.shift(timedelta(days=1))
        assert (forget_old_versions(), kept()) == (1, [1, 2, 50])
        clock.shift(timedelta(days=1))
        assert (forget_old_versions(), kept()) == (1, [2, 50])
        clock.shift(timedelta(days=47))
        assert (forget_old_versions(), kept()) == (0, [2, 50])
        clock.shift(timedelta(days=1))
        assert (forget_old_versions(), kept()) == (1, [50])
        clock.shift(timedelta(days=10_000))
        assert (forget_old_versions(), kept()) == (0, [50])
        assert KvVersion.objects.filter(key__startswith="tenant:").count() == 2
