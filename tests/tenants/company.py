"""A tenant with one of everything that an address can name, and people in every role."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from access.actions import create_user, issue_enrolment_link
from access.models import EnrolmentLink, User
from access.queries import passkeys_of
from alerts.actions.channels import ensure_default_channels, try_channel
from alerts.models import Channel
from changes.actor import Actor
from changes.models import AuditEvent, OutboxRow
from pricing.actions.by_hand import add_hand_price
from pricing.actions.overrides import create_override
from pricing.actions.sync import sync_prices
from pricing.override_rules import OverrideSettings
from publishing.models import KvEntry, Reconciliation
from spend.models import Anomaly, Export, InvoiceComparison, SavedView, UsageImport
from spend.reports.actions import Wanted, schedule_report, try_report
from spend.rerating.actions import start_dry_run
from tenants.actions.invitations import invite
from tenants.actions.key_batches import begin_batch
from tenants.actions.keys import issue_key
from tenants.actions.tokens import issue_token
from tenants.models import Invitation, Membership, Tenant
from tenants.permissions import Permission, Role
from tenants.scope import tenant_scope
from tests.browsing import Person
from tests.budgets.making import make_budget
from tests.pricing.catalogues import acme
from tests.pricing.conftest import Given
from tests.tenants.making import SOMEBODY, make_tenant, project_of

STRANGER = "stranger"
SIGNED_OUT = "signed out"
EVERYBODY = (*(role.value for role in Role), STRANGER, SIGNED_OUT)


class Company:
    """`tenant`, the ids of its objects by the names that addresses give them, and `person(role)`."""

    def __init__(self) -> None:
        self.tenant = make_tenant("Ours")
        self._people: dict[str, Person] = {}

    @cached_property
    def strangers(self) -> Tenant:
        return make_tenant("Strangers Ltd")

    def person(self, who: str) -> Person:
        """Somebody signed in with a passkey: in a role of the tenant, or an admin of another one."""
        if who == SIGNED_OUT:
            return Person()
        if who not in self._people:
            self._people[who] = self._signed_in(who)
        return self._people[who]

    def _signed_in(self, who: str) -> Person:
        person = Person()
        person.user = user = self._user(f"{who}@example.com")
        person.tenant = self.strangers if who == STRANGER else self.tenant
        Membership.objects.create(
            user=user,
            tenant=None if who == Role.PLATFORM_ADMIN else person.tenant,
            role=Role.TENANT_ADMIN if who == STRANGER else who,
        )
        link = issue_enrolment_link(
            user=user, purpose=EnrolmentLink.Purpose.RECOVERY, lifetime=timedelta(hours=1), by=SOMEBODY
        )
        assert person.enrol(link.token).status_code == 200
        return person

    @staticmethod
    def _user(email: str) -> User:
        return create_user(email=email, name=email.partition("@")[0], by=SOMEBODY)

    @cached_property
    def ids(self) -> dict[str, Any]:
        """What the placeholders of addresses stand for."""
        developer = self.person(Role.DEVELOPER).user
        listed = self.person(Role.TENANT_ADMIN).user
        member = self._user("member@example.com")
        Membership.objects.create(user=member, tenant=self.tenant, role=Role.AUDITOR)
        with tenant_scope(self.tenant.id):
            key = issue_key(
                tenant=self.tenant,
                project=project_of(self.tenant),
                name="Bot",
                env="dev",
                owner=developer.pk,
                by=SOMEBODY,
            ).key
            batch = begin_batch(
                tenant_id=self.tenant.id,
                action="add_tag",
                keys=[key.id],
                arguments={"name": "team", "value": "search"},
                by=SOMEBODY,
            )
            ensure_default_channels(self.tenant)
            channel = Channel.objects.order_by("created_at", "id").first()
            delivery = try_channel(channel_id=channel.id, tenant=self.tenant, by=SOMEBODY)
            invitation = invite(
                tenant=self.tenant,
                email="invited@example.com",
                role=Role.AUDITOR,
                mail=Invitation.Mail.KEPT,
                by=Actor("user", self.person(Role.TENANT_ADMIN).user.pk),
            ).invitation
            token = issue_token(
                tenant=self.tenant,
                name="Automation",
                scopes=[Permission.SPEND_VIEW],
                expires_at=datetime.now(UTC) + timedelta(days=7),
                grantable=list(Permission),
                confirmed=True,
                by=SOMEBODY,
            ).token
        override = create_override(
            tenant=self.tenant,
            wanted=OverrideSettings(name="Discount", kind="percent", basis_points=-500, starts_at=datetime.now(UTC)),
            by=SOMEBODY,
        )
        sync_prices(Given(acme(3)), by=SOMEBODY)
        sync = sync_prices(Given(acme(3, input=1)), by=SOMEBODY).waiting
        hand_price = add_hand_price(
            provider="acme", model="private", prices={"input": 1}, starts=date(2026, 1, 1), by=SOMEBODY
        )
        rerating = start_dry_run(
            begin=datetime.now(UTC) - timedelta(days=1), end=datetime.now(UTC), tenant_id=self.tenant.id, by=SOMEBODY
        )
        with tenant_scope(self.tenant.id):
            usage_import = UsageImport.objects.create(
                tenant=self.tenant,
                kind="file",
                file_name="usage.csv",
                size=1,
                project=key.project,
                env="prod",
                status=UsageImport.Status.CHECKED,
                price_version=0,
                override_version=0,
                counts={"new": 1, "changed": 0, "matched": 0},
                begin_ms=1_793_491_200_000,
                end_ms=1_793_491_200_000,
                created_by="u",
            )
            invoice = InvoiceComparison.objects.create(
                tenant=self.tenant,
                kind="invoice",
                provider="acme",
                file_name="invoice.csv",
                tolerance=0,
                first=date(2026, 11, 1),
                last=date(2026, 11, 1),
                totals=dict.fromkeys(
                    (
                        "theirs",
                        "ours",
                        "difference",
                        "bypassed",
                        "mispriced",
                        "late",
                        "credit",
                        "rounding",
                        "unexplained",
                    ),
                    "0",
                ),
                created_by="u",
            )
            export = Export.objects.create(
                tenant=self.tenant, kind="spend", format="csv", query="first=2026-01-01&last=2026-01-02", created_by="u"
            )
            anomaly = Anomaly.objects.create(
                tenant=self.tenant, day=date(2026, 11, 1), charge=2_000_000, expected=1_000_000, bound=1_500_000
            )
        with tenant_scope(self.tenant.id):
            report = schedule_report(tenant=self.tenant, wanted=Wanted(name="Weekly", people=[listed.pk]), by=SOMEBODY)
            sending = try_report(report=report, by=Actor("user", listed.pk))
        with tenant_scope(self.tenant.id):
            view = SavedView.objects.create(
                tenant=self.tenant, owner=self.person(Role.TENANT_ADMIN).user, name="Ours", query="by=key", shared=True
            )
        audit = AuditEvent.objects.filter(tenant_id=self.tenant.id).latest("id")
        entry = KvEntry.objects.create(
            env="dev",
            store="embedded",
            key="key:broken",
            tenant_id=self.tenant.id,
            rev=2,
            why=audit.pk,
            attempts=3,
            error="away",
        )
        looked = Reconciliation.objects.create(
            env="dev", store="embedded", status=Reconciliation.Status.HELD, confirmation="0" * 24
        )
        row = OutboxRow.objects.filter(topic="key").latest("id")
        OutboxRow.objects.filter(pk=row.pk).update(error="cannot be rendered", attempts=2)
        return {
            "key_id": key.id,
            "project_id": key.project_id,
            "tenant_id": self.tenant.id,
            "user_id": member.pk,
            "invitation_id": invitation.id,
            "batch_id": batch.id,
            "token_id": token.id,
            "budget_id": make_budget(self.tenant, now=None).id,
            "override_id": override.pk,
            "sync_id": sync.pk,
            "sync_digest": sync.digest,
            "hand_price_id": hand_price.pk,
            "rerating_id": rerating.pk,
            "anomaly_id": anomaly.pk,
            "export_id": export.pk,
            "import_id": usage_import.pk,
            "comparison_id": invoice.pk,
            "report_id": report.pk,
            "sending_id": sending.pk,
            "view_id": view.pk,
            "channel_id": channel.id,
            "delivery_id": delivery.id,
            "audit_event_id": audit.pk,
            "entry_id": entry.pk,
            "row_id": row.pk,
            "reconciliation_id": looked.pk,
            "env": entry.env,
            "document": entry.key,
            "passkey_id": passkeys_of(self.person(Role.TENANT_ADMIN).user).get().pk,
            "kind": "email",
            "month": f"{last_month(self.tenant):%Y-%m}",
            "provider": "acme",
            "model": "small",
        }


def last_month(tenant: Tenant) -> datetime:
    """Noon of the last day of the month that is over, which can be sealed."""
    today = datetime.now(ZoneInfo(tenant.time_zone))
    return today.replace(day=1, hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)


# Ids that are well formed and that nothing has.
MISSING: dict[str, Any] = {
    "key_id": "ZZZZZZZZZZZZ",
    "project_id": "p_000000000000",
    "tenant_id": "t_000000000000",
    "user_id": "u_000000000000",
    "invitation_id": "i_000000000000",
    "batch_id": "kb_000000000000",
    "token_id": "ZZZZZZZZZZZZ",
    "budget_id": "b_000000000000",
    "override_id": "o_000000000000",
    "sync_id": 999_999_999,
    "hand_price_id": 999_999_999,
    "rerating_id": "r_000000000000",
    "anomaly_id": "y_000000000000",
    "export_id": "x_000000000000",
    "import_id": "im_000000000000",
    "comparison_id": "ic_000000000000",
    "report_id": "rp_000000000000",
    "view_id": "v_000000000000",
    "sending_id": "rs_000000000000",
    "channel_id": "c_000000000000",
    "delivery_id": "d_000000000000",
    "audit_event_id": 999_999_999,
    "entry_id": 999_999_999,
    "row_id": 999_999_999,
    "reconciliation_id": 999_999_999,
    "env": "nowhere",
    "document": "key:nothing",
    "passkey_id": 999_999_999,
    "event_id": "01990000-0000-7000-8000-000000000000",
    "kept_key": "0" * 64,
    "month": "1999-01",
}
