"""Files that nobody exported: each is refused line by line or as a whole, and none keeps others from coming in."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from changes.models import AuditEvent
from spend.importing import actions, run
from spend.importing.actions import begin_import, confirm_import
from spend.importing.reading import CSV_LINE_MOST, FileError, records
from spend.importing.run import forget_unconfirmed, work_off, work_off_all
from spend.models import ImportPart, UsageImport
from tenants.errors import StatusError
from tenants.models import Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.spend.customer import Customer
from tests.spend.imports import BY, NOV_1, at, bring, check, fresh, lines, settle, total
from tests.tenants.making import make_tenant

STATUS = UsageImport.Status


@pytest.fixture
def tenant(queues, clickhouse) -> Tenant:
    sync_and_approve(catalogue(provider("openai", listed("gpt-4o-mini", input=150_000, output=600_000))))
    return make_tenant("Acme", time_zone="UTC")


def row(**fields: object) -> str:
    return json.dumps({"ts": NOV_1, "provider": "openai", "model": "gpt-4o-mini", "input": 1} | fields)


WILD = [
    row().replace('"input": 1', '"input": 1e99999999999999999999'),
    row().replace('"input": 1', '"input": 1e999999999'),
    row(cost="1e9999999"),
    row().replace(str(NOV_1), "-1e999999"),
    row().replace('"input": 1', f'"input": {"9" * 5_000}'),
    '{"ts": ' + "[" * 200_000,
    row(model="a\x00b"),
    row(model="a\ud800"),
    row(tags={"team": "\x00"}),
    row(http_status=70_000),
    row(requests=2**33),
    row(duration_ms=2**32),
]


@pytest.mark.parametrize("line", WILD, ids=range(len(WILD)))
def test_a_wild_line_is_refused_and_the_others_come_in(tenant, line):
    job = bring(tenant, f"{row()}\n{line}\n{row(input=2)}".encode())
    assert (job.counts["new"], job.counts["refused"]) == (2, 1), job.errors
    assert total(tenant).input_tokens == 3


def test_a_litellm_row_with_wild_metadata_is_refused(tenant):
    known = {"request_id": "r1", "startTime": NOV_1, "model": "gpt-4o-mini", "custom_llm_provider": "openai"}
    deep = known | {"metadata": "[" * 200_000}
    job = check(tenant, f"{json.dumps(known)}\n{json.dumps(deep)}".encode(), "litellm")
    assert (job.counts["new"], job.counts["refused"]) == (1, 1)


def test_a_document_that_is_nested_too_deeply_fails_and_says_so(tenant):
    job = check(tenant, b"[" * 200_000)
    assert (job.status, "nested too deeply" in job.error) == (STATUS.FAILED, True)


def test_a_csv_without_line_ends_is_not_read_into_memory():
    pieces = (b"a" * 2**20 for _ in range(CSV_LINE_MOST // 2**20 + 50))
    with pytest.raises(FileError, match="longer than"):
        list(records(pieces, form="csv"))
    assert len(list(pieces)) > 40


def test_an_error_of_ours_ends_its_import_alone_and_tells_no_secrets(tenant, monkeypatch):
    first, second = (
        begin_import(
            tenant=tenant,
            kind="file",
            project_id="",
            env="prod",
            file_name=name,
            pieces=[lines({"ts": NOV_1, "input": 1})],
            by=BY,
        )
        for name in ("a", "b")
    )
    judge = run.Judge.judge

    def broken(self, *args):
        if self._job.pk == first.pk:
            raise TypeError("password=hunter2")
        return judge(self, *args)

    monkeypatch.setattr(run.Judge, "judge", broken)
    work_off_all(seconds=20)
    assert fresh(first).status == STATUS.FAILED
    assert "hunter2" not in fresh(first).error
    assert fresh(second).status == STATUS.CHECKED
    with tenant_scope(tenant.id):
        assert not ImportPart.objects.filter(of=first).exists()  # nobody could go on with it


def test_a_file_that_comes_in_slowly_holds_nothing(tenant):
    deep: list[int] = []

    def slowly():
        deep.append(len(connection.savepoint_ids))
        yield lines({"ts": NOV_1, "input": 1})

    before = len(connection.savepoint_ids)
    begin_import(tenant=tenant, kind="file", project_id="", env="prod", file_name="usage", pieces=slowly(), by=BY)
    assert deep == [before]


def test_files_that_wait_for_somebody_are_counted(tenant, monkeypatch):
    monkeypatch.setattr(actions, "UNCONFIRMED_MOST", 1)
    check(tenant, lines({"ts": NOV_1, "input": 1}))
    with pytest.raises(StatusError, match="1 files wait"):
        check(tenant, lines({"ts": NOV_1, "input": 1}))


def test_a_file_that_is_confirmed_just_now_is_not_forgotten(tenant):
    job = check(tenant, lines({"ts": NOV_1, "input": 1}))
    other = check(tenant, lines({"ts": NOV_1, "input": 2}))
    with tenant_scope(tenant.id):
        UsageImport.objects.update(created_at=timezone.now() - timedelta(days=8))
    confirm_import(job=job, by=BY)
    forget_unconfirmed()
    work_off(job.pk, tenant.id)
    assert fresh(job).status == STATUS.DONE
    assert fresh(other).status == STATUS.FAILED
    with across_tenants("a test looks at what is there"):
        assert not ImportPart.objects.exists()
        assert AuditEvent.objects.filter(kind="import.discarded", target_id=other.pk).exists()


def test_a_call_on_the_other_side_of_midnight_that_comes_late_is_not_counted_twice(tenant):
    """The two clocks differ: the provider's side is of the day before."""
    midnight = NOV_1 + 86_400
    bring(tenant, lines({"ts": midnight - 1, "input": 100, "upstream_request_id": "req_1"}))
    settle()
    Customer(tenant, zone="UTC").call(at(0, day=2), upstream_request_id="req_1")
    settle()
    assert total(tenant).requests == 1
