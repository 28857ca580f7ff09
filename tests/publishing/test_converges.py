"""Whatever is edited, whoever crashes and however the store fails: in the end it says what SQL says.

And on the way: no document ever goes back to an older rev, no revoked key ever works again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import time_machine
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from changes.models import OutboxRow
from publishing.models import KvEntry, PublisherLease
from tenants.actions.keys import disable_key, enable_key, revoke_key
from tenants.errors import StatusError
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import across_tenants
from tests.publishing.conftest import Stores
from tests.publishing.faults import Crash, Faulty, raising
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import decode_key, decode_tenant, key_document, tenant_document

ENVIRONMENTS = ("dev", "prod")
FAILURES = st.sampled_from(
    [
        ("before", Crash()),
        ("after", Crash()),
        ("before", ConnectionError("cut")),
        ("after", TimeoutError("no answer")),
    ]
)


class Publishing(RuleBasedStateMachine):
    """Two publishers, one tenant, keys in both environments."""

    keys: Bundle[ApiKey] = Bundle("keys")

    @initialize()
    def begin(self) -> None:
        with across_tenants("each run begins with nothing"):
            for model in (KvEntry, PublisherLease, OutboxRow, ApiKey, Project, Tenant):
                model.objects.all().delete()
        self.folder = TemporaryDirectory()
        self.clock_of = time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False)
        self.clock = self.clock_of.start()
        self.faults = Faulty()
        self.stores = Stores(Path(self.folder.name))
        self.stores.opening = self.faults.around
        self.publishers = [self.stores.publisher(), self.stores.publisher()]
        self.tenant = make_tenant()
        self.seen: dict[tuple[str, str], int] = {}
        self.dead: set[str] = set()

    @rule(target=keys, env=st.sampled_from(ENVIRONMENTS))
    def issue(self, env: str):
        return issue(self.tenant, env=env).key

    @rule(target=keys)
    def nothing(self):
        return multiple()

    @rule(key=keys, change=st.sampled_from([disable_key, enable_key, revoke_key]))
    def edit(self, key, change) -> None:
        try:
            change(key=key, by=SOMEBODY)
        except StatusError:
            assert change is not revoke_key

    @rule(status=st.sampled_from(list(Tenant.Status)))
    def change_tenant_status(self, status) -> None:
        from django.db import transaction

        from changes.record import Publish, Topic, record

        with transaction.atomic():
            Tenant.objects.filter(pk=self.tenant.pk).update(status=status)
            again = [Publish(Topic.TENANT, self.tenant.id)]
            record("test", by=SOMEBODY, tenant="", target_kind="t", target_id="t", publish=again)

    @rule(who=st.integers(0, 1))
    def publish(self, who: int) -> None:
        self._publish(who)

    @rule(who=st.integers(0, 1), failure=FAILURES)
    def publish_and_fail(self, who: int, failure) -> None:
        plan, error = failure
        setattr(self.faults, plan, raising(error))
        self._publish(who)
        setattr(self.faults, plan, None)

    @rule(who=st.integers(0, 1), key=keys, wait=st.sampled_from([0, 5]))
    def publish_while_another_edits_and_publishes(self, who: int, key, wait: int) -> None:
        def meanwhile() -> None:
            self.edit(key, disable_key)
            self.clock.shift(timedelta(seconds=wait))
            self._publish(1 - who)

        self.faults.before = meanwhile
        self._publish(who)
        self.faults.before = None

    @rule(seconds=st.sampled_from([1, 5, 90, 3700, 86_400]))
    def wait(self, seconds: int) -> None:
        self.clock.shift(timedelta(seconds=seconds))

    def _publish(self, who: int) -> None:
        try:
            self.publishers[who].once()
        except Crash:
            self.publishers[who].close()
            self.publishers[who] = self.stores.publisher()

    @invariant()
    def no_document_goes_back_and_no_revoked_key_comes_back(self) -> None:
        for env in ENVIRONMENTS:
            for name, entry in self.stores.documents(env).items():
                assert entry.rev >= self.seen.get((env, name), 0), f"{name} went back"
                self.seen[env, name] = entry.rev
                if not name.startswith("key:"):
                    continue
                status = "deleted" if entry.body is None else decode_key(entry.body).status.value
                assert name not in self.dead or status in ("revoked", "deleted"), f"{name} is {status} again"
                if status in ("revoked", "deleted"):
                    self.dead.add(name)

    def teardown(self) -> None:
        if not hasattr(self, "tenant"):
            return
        try:
            self.faults.before = self.faults.after = None
            self.clock.shift(timedelta(hours=2))
            self._publish(0)
            self._publish(1)
            self.no_document_goes_back_and_no_revoked_key_comes_back()
            self._store_says_what_sql_says()
        finally:
            for each in self.publishers:
                each.close()
            self.stores.close()
            self.clock_of.stop()
            self.folder.cleanup()

    def _store_says_what_sql_says(self) -> None:
        now = datetime.now(UTC)
        with across_tenants("all keys are compared"):
            keys = list(ApiKey.objects.all())
        suspended = Tenant.objects.get().status != Tenant.Status.ACTIVE
        for env in ENVIRONMENTS:
            held = {name: each for name, each in self.stores.documents(env).items() if each.body is not None}
            living = {
                key_document(key.hash): key.status
                for key in keys
                if key.env == env and not (key.revoked_at and key.revoked_at + timedelta(days=1) <= now)
            }
            found = {name: decode_key(each.body).status for name, each in held.items() if name.startswith("key:")}
            assert found == living
            assert decode_tenant(held[tenant_document(self.tenant.id)].body).suspended is suspended
        assert all(entry.published_rev == entry.rev for entry in KvEntry.objects.all())


def test_the_store_always_comes_to_say_what_sql_says(db):
    run_state_machine_as_test(
        Publishing,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would outlast a test's time
            suppress_health_check=list(HealthCheck),
        ),
    )
