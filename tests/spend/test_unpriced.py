"""Gateways' flags for unpriced models become rows in SQL."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pytest

from spend.models import UnpricedModel
from spend.tasks import collect_unpriced
from spend.unpriced import note_unpriced_models
from spend.zones import ms_of
from wire.documents import Missing, encode, missing_document

SEEN = datetime(2026, 11, 20, 12, 0, 0, 345000, tzinfo=UTC)


@pytest.fixture
def flag(queues, settings):
    """Put a flag into an environment's KV, as a gateway does."""

    def put(model: str, env: str = "dev", at: datetime = SEEN, provider: str = "openai") -> None:
        event = "019aa000-0000-7000-8000-000000000000"
        missing = Missing(
            env=env, provider=provider, model=model, first_seen=ms_of(at), tenant="t_acme00001", event_id=event
        )
        with closing(settings.SPENDOPS.open_kv(env)) as kv:
            kv.add(missing_document(provider, model), encode(missing))

    return put


def rows() -> list[tuple]:
    fields = ("provider", "model", "first_seen", "envs")
    return list(UnpricedModel.objects.order_by("provider", "model").values_list(*fields))


def test_flags_of_all_environments_are_kept_once(flag):
    flag("acme-7b")
    flag("acme-7b", env="prod", at=SEEN.replace(hour=11))
    flag("acme-8b", env="prod", provider="mistral")
    collect_unpriced()
    expected = [
        ("mistral", "acme-8b", SEEN, ["prod"]),
        ("openai", "acme-7b", SEEN.replace(hour=11), ["dev", "prod"]),
    ]
    assert rows() == expected
    assert note_unpriced_models() == 0
    assert rows() == expected


def test_a_flag_that_comes_later_is_added(flag):
    flag("acme-7b")
    assert note_unpriced_models() == 1
    flag("acme-7b", env="prod", at=SEEN.replace(hour=13))
    assert note_unpriced_models() == 1
    assert rows() == [("openai", "acme-7b", SEEN, ["dev", "prod"])]


def test_more_flags_than_a_page_and_one_that_cannot_be_read(flag, settings):
    for number in range(1100):
        if number == 500:
            with closing(settings.SPENDOPS.open_kv("dev")) as kv:
                kv.add(missing_document("openai", "m-500"), b"{}")
        else:
            flag(f"m-{number}")
    assert note_unpriced_models() == 1099


def test_a_name_of_any_length_is_kept(flag):
    flag("x" * 3000)
    assert note_unpriced_models() == 1
    assert note_unpriced_models() == 0
