from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from access.models import User
from alerts.models import Channel, Delivery
from budgets.evaluator import evaluate
from budgets.models import Budget
from spend.queries.daily import DailyRow
from tenants.models import Membership, Tenant
from tenants.scope import across_tenants
from tests.alerts.receivers import Mailbox, Webhook, mail_server, webhook_server
from tests.budgets.making import NOON, Ledger, make_budget
from tests.tenants.making import make_tenant

MODELS = {
    "gpt-4o-mini": "0.00008",
    "claude-sonnet-4-5": "0.00004",
    "<b>*odd*</b> `&` model": "0.0000046",
    "o3": "0.00000005",
}


@pytest.fixture
def tenant(db: None) -> Tenant:
    made = make_tenant("Example <Corp> & Sons", time_zone="Asia/Kolkata")
    user = User.objects.create(email="asha@example.com", name="Asha")
    Membership.objects.create(user=user, tenant=made, role=Membership.Role.TENANT_ADMIN)
    return made


@pytest.fixture
def stranger(db: None) -> Tenant:
    return make_tenant("Other Corp")


@pytest.fixture(autouse=True)
def drivers(monkeypatch: pytest.MonkeyPatch) -> list[DailyRow]:
    """What the spend store says each model cost; a test may change it."""
    rows = [DailyRow(NOON.date(), name, 1, 10, 10, 0, Decimal(usd), Decimal(usd), 0, 0) for name, usd in MODELS.items()]
    monkeypatch.setattr("alerts.content.daily_spend", lambda *_, **__: rows)
    return rows


@pytest.fixture
def crossed(tenant: Tenant) -> Budget:
    """A hard budget that was used up a moment ago, and of which nobody was told yet."""
    budget = make_budget(tenant)
    evaluate(NOON + timedelta(seconds=5), read=Ledger({budget.id: 124_650_000}))
    return budget


@pytest.fixture
def mailbox(settings: object) -> Iterator[Mailbox]:
    """A mail server that the product is set up with."""
    with mail_server() as box:
        settings.MAIL_TO_OUTBOX = False
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield box


@pytest.fixture
def webhook(settings: object) -> Iterator[Webhook]:
    """A receiver of Slack's messages on this machine, which is allowed for once."""
    settings.ALLOW_PRIVATE_WEBHOOKS = True
    with webhook_server() as hook:
        yield hook


def deliveries() -> list[Delivery]:
    with across_tenants("a test looks"):
        return list(Delivery.objects.select_related("channel").order_by("created_at", "id"))


def by_kind() -> dict[str, Delivery]:
    return {each.channel.kind: each for each in deliveries()}


def channels() -> list[Channel]:
    with across_tenants("a test looks"):
        return list(Channel.objects.order_by("created_at", "id"))
