"""Whatever is edited, whoever crashes and however the store fails: in the end it says what SQL says.

And on the way: no document ever goes back to an older rev, no revoked key ever works again, but by somebody who puts a
store back to an earlier copy: then comparing brings it on. Where SQL was put back to before a key was revoked, the key
stays dead in every store that still knows, until somebody revokes it again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import time_machine
from django.conf import settings as django_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from changes.models import OutboxRow
from changes.record import Topic
from publishing.errors import RepublishError
from publishing.models import KvEntry, KvVersion, PublisherLease, Reconciliation, Republish
from publishing.reconcile.run import reconcile
from publishing.republish import start_republish, stop_republish
from tenants.actions.keys import disable_key, enable_key, revoke_key
from tenants.errors import StatusError
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import across_tenants
from tests.publishing.changing import change_key, publish_again
from tests.publishing.conftest import Stores
from tests.publishing.faults import Crash, Faulty, raising
from tests.publishing.places import Place
from tests.publishing.steps import at_statement
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.documents import decode_key, decode_tenant, key_document, tenant_document
from wire.kv.base import Entry, StoreUnavailableError
from wire.kv.stores import Kind, Store

ENVIRONMENTS = ("dev", "prod")
WHO = st.integers(0, 1)
FAILURES = st.sampled_from(
    [
        ("before", Crash()),
        ("after", Crash()),
        ("before", StoreUnavailableError("cut")),
        ("after", TimeoutError("no answer")),
    ]
)


class Publishing(RuleBasedStateMachine):
    """Two publishers, one tenant, keys in both environments; dev has a second store now and then."""

    keys: Bundle[ApiKey] = Bundle("keys")
    kind: Kind
    server: object

    @initialize(target=keys)
    def begin(self):
        with across_tenants("each run begins with nothing"):
            for model in (
                *(KvEntry, KvVersion, Republish, Reconciliation, PublisherLease, OutboxRow),
                *(ApiKey, Project, Tenant),
            ):
                model.objects.all().delete()
        self.folder = TemporaryDirectory()
        self.clock_of = time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False)
        self.clock = self.clock_of.start()
        self.faults = Faulty()
        self.stores = Stores(Path(self.folder.name), django_settings)
        self.stores.opening = self.faults.around
        if self.kind is Kind.REDIS:
            self.stores.name({env: [self.stores.redis(env, self.server)] for env in ENVIRONMENTS})
            self.second = self.stores.redis("dev", self.server)
        else:
            self.second = self.stores.embedded("dev", "second")
        self.first = self.stores.of("dev")
        self.publishers = [self.stores.publisher(), self.stores.publisher()]
        self.tenant = make_tenant()
        self.seen: dict[tuple[Store, str], int] = {}
        self.dead: set[tuple[Store, str]] = set()
        self.copies: dict[Store, dict[str, Entry]] = {}
        self.set_back: set[Store] = set()
        self.emptied: set[Store] = set()
        self.sql: tuple[list[ApiKey], list[KvEntry]] | None = None
        self.sql_forgot = False
        return multiple(*(issue(self.tenant, env=env).key for env in (*ENVIRONMENTS, *ENVIRONMENTS)))

    # -- people change things

    @rule(target=keys, env=st.sampled_from(ENVIRONMENTS))
    def issue(self, env: str):
        try:
            return issue(self.tenant, env=env).key
        except StatusError:  # the tenant or the project is archived
            return multiple()

    @rule(target=keys)
    def nothing(self):
        return multiple()

    @rule(key=keys, change=st.sampled_from([disable_key, enable_key, revoke_key]))
    def edit(self, key, change) -> None:
        try:
            change(key=key, by=SOMEBODY)
        except StatusError:
            assert change is not revoke_key

    @rule(key=keys, rpm=st.integers(0, 3))
    def change_policy(self, key, rpm: int) -> None:
        change_key(key, rpm=rpm)

    @rule(status=st.sampled_from(list(Tenant.Status)))
    def change_tenant_status(self, status) -> None:
        Tenant.objects.filter(pk=self.tenant.pk).update(status=status)
        publish_again(Topic.TENANT, self.tenant.id)

    @rule(status=st.sampled_from(list(Project.Status)), urgent=st.booleans())
    def change_project_status(self, status, urgent: bool) -> None:
        with across_tenants("the one project"):
            project = Project.objects.get()
            Project.objects.update(status=status)
        publish_again(Topic.PROJECT, project.id, urgent=urgent)

    @rule(env=st.sampled_from(ENVIRONMENTS), act=st.sampled_from([start_republish, start_republish, stop_republish]))
    def republish(self, env: str, act) -> None:
        try:
            act(env=env, by=SOMEBODY)
        except RepublishError:
            assert (act is start_republish) == Republish.objects.filter(env=env, status="running").exists()

    @rule(named=st.sampled_from([(0,), (0, 1), (1, 0), (1,)]))
    def configure(self, named: tuple[int, ...]) -> None:
        self.stores.name({"dev": [(self.first, self.second)[number] for number in named]})
        for who in (0, 1):
            self._restart(who)

    # -- publishers run, fail and die

    @rule(who=WHO, wait=st.sampled_from([0, 6]))
    def publish(self, who: int, wait: int) -> None:
        self.wait(wait)
        self._publish(who)

    @rule(who=WHO, failure=FAILURES)
    def publish_and_fail(self, who: int, failure) -> None:
        self.wait(6)
        plan, error = failure
        setattr(self.faults, plan, raising(error))
        self._publish(who)
        setattr(self.faults, plan, None)

    @rule(who=WHO, statement=st.integers(0, 120))
    def publish_and_die_between_two_steps(self, who: int, statement: int) -> None:
        self.wait(6)
        with at_statement(statement, raising(Crash())):
            self._publish(who)

    @rule(who=WHO, statement=st.integers(0, 120), wait=st.sampled_from([0, 5]))
    def publish_while_another_does(self, who: int, statement: int, wait: int) -> None:
        def meanwhile() -> None:
            self.clock.shift(timedelta(seconds=wait))
            self._publish(1 - who)

        self.wait(6)
        with at_statement(statement, meanwhile, between=True):
            self._publish(who)

    @rule(who=WHO, key=keys, rpm=st.integers(4, 9), wait=st.sampled_from([0, 5]))
    def publish_while_another_edits_and_publishes(self, who: int, key, rpm: int, wait: int) -> None:
        change_key(key, rpm=rpm)
        self.wait(6)

        def meanwhile() -> None:
            self.edit(key, disable_key)
            self.clock.shift(timedelta(seconds=wait))
            self._publish(1 - who)

        self.faults.before = meanwhile
        self._publish(who)
        self.faults.before = None

    @rule(seconds=st.sampled_from([1, 5, 90, 3700, 86_400]))
    def wait(self, seconds: int) -> None:
        """A store that was away is back after some seconds, and pauses and claims end."""
        self.clock.shift(timedelta(seconds=seconds))
        self.faults.away = self.faults.away and seconds < 5

    def _publish(self, who: int) -> None:
        try:
            self.publishers[who].once()
        except Crash:
            self._restart(who)

    def _restart(self, who: int) -> None:
        self.publishers[who].close()
        self.publishers[who] = self.stores.publisher()

    # -- stores are away, emptied, put back to an earlier copy, compared

    @rule()
    def stores_go_away(self) -> None:
        self.faults.away = True

    @rule(env=st.sampled_from(ENVIRONMENTS))
    def empty_the_store(self, env: str) -> None:
        store = self.stores.of(env)
        Place(store).empty()
        self.emptied.add(store)
        if self.sql_forgot:  # then nobody knows any more
            self.dead = {known for known in self.dead if known[0] != store}
        self.seen = {place: rev for place, rev in self.seen.items() if place[0] != store}

    @rule(env=st.sampled_from(ENVIRONMENTS))
    def copy_the_store(self, env: str) -> None:
        store = self.stores.of(env)
        self.copies[store] = self.stores.documents(env, store=store)

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def put_a_store_back(self, data) -> None:
        store = data.draw(st.sampled_from(list(self.copies)))
        place = Place(store)
        place.empty()
        for key, entry in self.copies[store].items():
            place.put(key, entry.rev, entry.body)
        self.seen = {known: rev for known, rev in self.seen.items() if known[0] != store}
        self.dead = {known for known in self.dead if known[0] != store}
        self.set_back.add(store)

    @rule()
    def put_sql_back_to_before_it_knew_of_any_store(self) -> None:
        """The stores are ahead of it then: what SQL says goes past them, and comparing finds what it forgot."""
        KvEntry.objects.all().delete()
        KvVersion.objects.all().delete()
        with across_tenants("every key"):
            keys = list(ApiKey.objects.values_list("id", flat=True))
        for key_id in keys:
            publish_again(Topic.KEY, key_id)
        publish_again(Topic.TENANT, self.tenant.id)
        self.set_back |= self._all_stores()

    @rule()
    def copy_sql(self) -> None:
        with across_tenants("every key"):
            self.sql = (list(ApiKey.objects.all()), list(KvEntry.objects.all()))

    @precondition(lambda self: self.sql)
    @rule()
    def put_sql_back_to_that_copy(self) -> None:
        """What was revoked since works again by SQL. Keys that were issued since stay, as if they came later."""
        keys, entries = self.sql
        KvEntry.objects.all().delete()
        KvEntry.objects.bulk_create(entries)
        with across_tenants("every key"):
            ApiKey.objects.bulk_update(keys, ["status", "revoked_at", "rpm"])
            living = ApiKey.objects.exclude(status=ApiKey.Status.REVOKED).count()
            Project.objects.update(keys_living=living)
            ids = list(ApiKey.objects.exclude(pk__in=[key.pk for key in keys]).values_list("id", flat=True))
        Tenant.objects.update(keys_living=living)
        for key_id in ids:
            publish_again(Topic.KEY, key_id)
        publish_again(Topic.TENANT, self.tenant.id)
        self.set_back |= self._all_stores()
        self.sql_forgot = True
        self.dead = {(store, name) for store in self._all_stores() for name in self._dead_in(store)}

    @rule(env=st.sampled_from(ENVIRONMENTS))
    def compare(self, env: str) -> None:
        reconcile(self.stores.of(env), by=SOMEBODY)

    def _dead_in(self, store: Store) -> list[str]:
        held = self.stores.documents(store.env, "key:", store)
        return [name for name, each in held.items() if each.body is None or decode_key(each.body).status == "revoked"]

    # -- what must hold

    @invariant()
    def no_document_goes_back_and_no_revoked_key_comes_back(self) -> None:
        for store in self._all_stores():
            for name, entry in self.stores.documents(store.env, store=store).items():
                assert entry.rev >= self.seen.get((store, name), 0), f"{name} went back"
                self.seen[store, name] = entry.rev
                if not name.startswith("key:"):
                    continue
                status = "deleted" if entry.body is None else decode_key(entry.body).status.value
                assert (store, name) not in self.dead or status in ("revoked", "deleted"), f"{name} is {status} again"
                if status in ("revoked", "deleted"):
                    self.dead.add((store, name))

    @invariant()
    def what_a_store_acknowledged_is_there(self) -> None:
        for store in self._all_stores() - self.set_back - self.emptied:
            held = self.stores.documents(store.env, store=store)
            for row in KvEntry.objects.filter(env=store.env, store=store.id, published_rev__gt=0):
                assert row.key in held, f"{row.key} is not in {store.id}"
                assert held[row.key].rev >= row.published_rev, f"{row.key} was not published"

    def teardown(self) -> None:
        if not hasattr(self, "tenant"):
            return
        try:
            self.faults.before = self.faults.after = None
            self.faults.away = False
            self.clock.shift(timedelta(hours=2))
            self._revoke_what_is_dead()
            self._publish(0)
            self._publish(1)
            self.no_document_goes_back_and_no_revoked_key_comes_back()
            for store in self._fed():
                if store in self.set_back:
                    self._compare_until_clean(store)
                self._says_what_sql_says(store)
            fed = [(store.env, store.id) for store in self._fed()]
            rows = [row for row in KvEntry.objects.all() if (row.env, row.store) in fed]
            assert all(row.published_rev == row.rev for row in rows)
            assert not Republish.objects.filter(status="running").exists()
        finally:
            for each in self.publishers:
                each.close()
            self.stores.close()
            self.clock_of.stop()
            self.folder.cleanup()

    def _revoke_what_is_dead(self) -> None:
        with across_tenants("every key"):
            forgotten = [
                key
                for key in ApiKey.objects.exclude(status=ApiKey.Status.REVOKED)
                if any(name == key_document(key.hash) for _, name in self.dead)
            ]
        for key in forgotten:
            revoke_key(key=key, by=SOMEBODY)

    def _compare_until_clean(self, store: Store) -> None:
        for _ in range(4):
            found = reconcile(store, by=SOMEBODY)
            if found.status == Reconciliation.Status.CLEAN:
                return
            if found.status == Reconciliation.Status.HELD:
                reconcile(store, by=SOMEBODY, confirm=found.confirmation)
            self.clock.shift(timedelta(minutes=1))
            self._publish(0)
            self.no_document_goes_back_and_no_revoked_key_comes_back()
        raise AssertionError(f"{store.id} does not become clean: {found.status} {found.error} {found.examples}")

    def _fed(self) -> list[Store]:
        return [store for env in ENVIRONMENTS for store in django_settings.SPENDOPS.stores[env]]

    def _all_stores(self) -> set[Store]:
        return {self.first, self.second, *self._fed()}

    def _says_what_sql_says(self, store: Store) -> None:
        now = datetime.now(UTC)
        with across_tenants("all keys are compared"):
            keys = list(ApiKey.objects.select_related("project"))
        suspended = Tenant.objects.get().status != Tenant.Status.ACTIVE
        held = {
            name: each for name, each in self.stores.documents(store.env, store=store).items() if each.body is not None
        }
        living = {
            key_document(key.hash): (key.status, key.rpm, key.project.status != Project.Status.ACTIVE)
            for key in keys
            if key.env == store.env and not (key.revoked_at and key.revoked_at + timedelta(days=1) <= now)
        }
        found = {name: decode_key(each.body) for name, each in held.items() if name.startswith("key:")}
        assert {name: (key.status, key.rpm, key.block is not None) for name, key in found.items()} == living
        assert decode_tenant(held[tenant_document(self.tenant.id)].body).suspended is suspended


@pytest.mark.parametrize(("kind", "examples"), [(Kind.EMBEDDED, 25), (Kind.REDIS, 6)])
def test_the_store_always_comes_to_say_what_sql_says(db, settings, redis_server, kind, examples):
    stores = settings.SPENDOPS
    machine = type("Publishing", (Publishing,), {"kind": kind, "server": redis_server})
    try:
        run_state_machine_as_test(machine, settings=_limits(examples))
    finally:
        django_settings.SPENDOPS = stores


def _limits(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would outlast a test's time
        suppress_health_check=list(HealthCheck),
    )
