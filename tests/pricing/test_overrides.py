"""Overrides: made, changed, archived, added from lists; each change a version, an audit event, a document to come."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from changes.models import AuditEvent, OutboxRow
from pricing.actions.overrides import archive_override, change_override, create_override
from pricing.actions.sync import sync_prices
from pricing.models import ImmutableError, Override, OverrideBook
from pricing.override_rules import OverrideSettings
from pricing.queries_overrides import book_of, current_overrides, finder_of, newest_version, overrides_of, rules_in
from publishing.render import render
from tenants.actions.projects import create_project
from tenants.actions.tenants import archive_tenant, suspend_tenant
from tenants.errors import NameTakenError, RefusedError, StaleError, StatusError
from tenants.models import Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import SYNC, Given
from tests.tenants.making import SOMEBODY, make_tenant, project_of
from wire.overrides import at_ms

pytestmark = pytest.mark.django_db

JANUARY, JUNE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def tenant() -> Tenant:
    openai = provider("openai", listed("gpt-4o", input=7), listed("gpt-4o-mini", input=1))
    azure = provider("azure", listed("own", input=9), fallbacks=("openai",))
    sync_prices(Given(catalogue(*acme().providers, openai, azure)), by=SYNC)
    return make_tenant()


def wanted(name: str = "Discount", **fields: Any) -> OverrideSettings:
    return OverrideSettings(**({"name": name, "kind": "percent", "basis_points": -1000, "starts_at": JANUARY} | fields))


def create(tenant: Tenant, name: str = "Discount", **fields: Any) -> Override:
    return create_override(tenant=tenant, wanted=wanted(name, **fields), by=SOMEBODY)


def rule_for(tenant: Tenant, *, at: datetime = JUNE, model: str = "small", project: str = "p", provider: str = "acme"):
    found = current_overrides(tenant.id).rule_for(provider=provider, model=model, project=project, at_ms=at_ms(at))
    return found and found.id


def stored(tenant: Tenant) -> dict[str, list]:
    with across_tenants("the test looks at everything"):
        tables = (Override, OverrideBook, AuditEvent, OutboxRow)
        return {table.__name__: list(table.objects.order_by("pk").values()) for table in tables}


# -- what a change leaves behind -------------------------------------------------------------------------------------


def test_a_new_override_is_a_version_an_audit_event_and_a_document_to_come(tenant):
    row = create(tenant, provider="acme", model="SMALL")
    assert (row.provider, row.model, row.version) == ("acme", "small", 1)
    assert newest_version(tenant.id) == 1
    (rule,) = rules_in(book_of(tenant.id, 1))
    assert (rule.id, rule.basis_points, rule.start, rule.end) == (row.pk, -1000, at_ms(JANUARY), 0)
    event = AuditEvent.objects.latest("id")
    assert (event.kind, event.target_id, event.tenant_id, event.after["book"]) == (
        "override.created",
        row.pk,
        tenant.id,
        1,
    )
    assert list(OutboxRow.objects.filter(audit_event_id=event.id).values_list("topic", "object_id")) == [
        ("overrides", tenant.id)
    ]


def test_a_change_is_a_new_version_and_the_old_one_stays_as_it_was(tenant):
    row = create(tenant)
    changed = change_override(override=row, wanted=wanted(basis_points=250, priority=3), version=1, by=SOMEBODY)
    assert (changed.version, newest_version(tenant.id)) == (2, 2)
    assert [rules_in(book_of(tenant.id, version))[0].basis_points for version in (1, 2)] == [-1000, 250]
    event = AuditEvent.objects.latest("id")
    assert (event.kind, event.before, event.after) == (
        "override.changed",
        {"basis_points": -1000, "priority": 0},
        {"basis_points": 250, "priority": 3, "book": 2},
    )
    book = book_of(tenant.id, 1)
    for write in (book.save, book.delete):
        with pytest.raises(ImmutableError):
            write()


def test_changing_nothing_records_nothing(tenant):
    row = create(tenant)
    before = stored(tenant)
    assert change_override(override=row, wanted=wanted(), by=SOMEBODY).version == 1
    assert stored(tenant) == before


def test_of_two_people_the_second_is_told(tenant):
    row = create(tenant)
    change_override(override=row, wanted=wanted(priority=1), version=1, by=SOMEBODY)
    before = stored(tenant)
    with pytest.raises(StaleError, match="was changed by"):
        change_override(override=row, wanted=wanted(priority=2), version=1, by=SOMEBODY)
    with pytest.raises(StaleError):
        archive_override(override=row, version=1, by=SOMEBODY)
    assert stored(tenant) == before


def test_an_archived_override_ends_now_and_keeps_what_was_charged(tenant):
    row = create(tenant)
    archived = archive_override(override=row, version=1, by=SOMEBODY)
    assert (archived.status, archived.version) == ("archived", 2)
    assert rule_for(tenant) == row.pk  # a call of June that is priced anew
    assert rule_for(tenant, at=timezone.now() + timedelta(seconds=1)) is None
    assert AuditEvent.objects.latest("id").kind == "override.archived"
    for again in (
        lambda: archive_override(override=row, by=SOMEBODY),
        lambda: change_override(override=row, wanted=wanted(), by=SOMEBODY),
    ):
        with pytest.raises(StatusError, match="is archived"):
            again()
    with tenant_scope(tenant.id):
        assert list(overrides_of(tenant.id, status="active")) == []
    assert create(tenant, starts_at=timezone.now()).pk != row.pk  # its name and days are free again


def test_an_archived_override_goes_on_deciding_for_the_calls_it_decided(tenant):
    """One of the same priority that fits as well, and was tried after it, does not take its calls."""
    create(tenant, "Older", model="small", basis_points=-500)
    newer = create(tenant, "Newer", model="s*")
    assert rule_for(tenant) == newer.pk
    archive_override(override=newer, by=SOMEBODY)
    assert rule_for(tenant) == newer.pk


def test_an_archived_override_stands_in_no_ones_way(tenant):
    """Of the same project, provider, model and priority, what is in force decides, also for days that it took over."""
    later = create(tenant, "Later", starts_at=JUNE + timedelta(days=1))
    between = create(tenant, "Between", model="s*", basis_points=-500, priority=-1)
    wrong = create(tenant, "Wrong", ends_at=JUNE + timedelta(days=1))
    assert rule_for(tenant) == wrong.pk
    archive_override(override=wrong, by=SOMEBODY)
    assert rule_for(tenant) == wrong.pk
    change_override(override=later, wanted=wanted("Later"), by=SOMEBODY)
    assert rule_for(tenant) == later.pk
    assert between.pk in [rule.id for rule in current_overrides(tenant.id).rules]


def test_what_never_began_leaves_no_rule_and_an_end_stays_where_it_was(tenant):
    to_come = create(tenant, "To come", starts_at=timezone.now() + timedelta(days=3))
    archive_override(override=to_come, by=SOMEBODY)
    assert rules_in(book_of(tenant.id, newest_version(tenant.id))) == ()
    over = create(tenant, "Over", ends_at=JUNE)
    assert archive_override(override=over, by=SOMEBODY).ends_at == JUNE


def test_documents_are_made_for_every_environment_and_deleted_without_rules(tenant):
    other = make_tenant("Other")

    def documents() -> dict[str, Any]:
        with across_tenants("as the publisher"):
            found = render("overrides", [tenant.id, other.id], environments=["dev", "prod"])
        return {(each.env, each.key): each.content for of in found.values() for each in of}

    assert set(documents().values()) == {None}
    row = create(tenant, ends_at=None, starts_at=timezone.now() + timedelta(days=3))
    for env in ("dev", "prod"):
        content = documents()[env, f"pricing:tenant:{tenant.id}"]
        assert (content.env, content.tenant, content.version, content.rev) == (env, tenant.id, 1, 0)
        assert [rule.id for rule in content.rules] == [row.pk]
        assert documents()[env, f"pricing:tenant:{other.id}"] is None
    archive_override(override=row, by=SOMEBODY)
    assert set(documents().values()) == {None}


def test_an_archived_tenant_is_not_changed(tenant):
    row = create(tenant)
    suspend_tenant(tenant=tenant, reason="Over.", by=SOMEBODY)
    archive_tenant(tenant=tenant, reason="Over.", by=SOMEBODY)
    for write in (
        lambda: create(tenant, "Another", priority=1),
        lambda: archive_override(override=row, by=SOMEBODY),
    ):
        with pytest.raises(StatusError, match="is archived"):
            write()


# -- what decides ----------------------------------------------------------------------------------------------------


def test_the_order_is_project_then_priority_then_the_newest(tenant):
    project = project_of(tenant).id
    every = create(tenant, "Every", priority=9)
    own = create(tenant, "Own", project=project, priority=-5)
    assert rule_for(tenant, project=project) == own.pk
    assert rule_for(tenant) == every.pk
    higher = create(tenant, "Higher", project=project, model="sm*", priority=-4)
    assert rule_for(tenant, project=project) == higher.pk
    newer = create(tenant, "Newer", project=project, model="s*", priority=-4)
    assert rule_for(tenant, project=project) == newer.pk
    ended = create(tenant, "Ended", priority=10, ends_at=JUNE)
    assert rule_for(tenant) == every.pk  # an end is the first moment without it
    assert rule_for(tenant, at=JUNE - timedelta(milliseconds=1)) == ended.pk
    assert rule_for(tenant, at=JANUARY - timedelta(milliseconds=1)) is None


def test_a_version_that_never_was_finds_nothing_and_zero_has_no_rules(tenant):
    create(tenant)
    assert finder_of(tenant.id, 9) is None
    assert finder_of(tenant.id, 0).rule_for(provider="acme", model="small", project="", at_ms=at_ms(JUNE)) is None


# -- what is refused -------------------------------------------------------------------------------------------------

REFUSED = {
    "no name": ({"name": " "}, "name", "needs a name"),
    "another kind": ({"kind": "gift"}, "kind", "absolute, percent or free"),
    "below free": ({"basis_points": -10_001}, "percent", "between −100"),
    "above eleven times": ({"basis_points": 100_001}, "percent", "1,000"),
    "prices of a percentage": ({"prices": {"input": 1}}, "prices", "no prices of its own"),
    "a percentage of what is free": ({"kind": "free"}, "percent", "no percentage"),
    "absolute without prices": ({"kind": "absolute", "basis_points": 0}, "prices", "at least one price"),
    "an unknown unit": (
        {"kind": "absolute", "basis_points": 0, "prices": {"smells": 1}},
        "prices",
        "'smells' is not a unit",
    ),
    "a negative price": ({"kind": "absolute", "basis_points": 0, "prices": {"input": -1}}, "prices", "0 or more"),
    "an end at the start": ({"ends_at": JANUARY}, "ends_at", "after the start"),
    "no zone": ({"starts_at": datetime(2026, 1, 1)}, "starts_at", "time zone"),  # noqa: DTZ001
    "the year 1": ({"starts_at": datetime(1, 1, 2, tzinfo=UTC)}, "starts_at", "between 2000"),
    "a priority out of bounds": ({"priority": 1001}, "priority", "1,000"),
    "an unknown provider": ({"provider": "opnai"}, "provider", "The nearest: openai"),
    "an unknown model": ({"provider": "openai", "model": "gpt4o-mini"}, "model", "The nearest: gpt-4o-mini, gpt-4o"),
    "a model of another provider": ({"provider": "openai", "model": "small"}, "model", "of openai"),
    "a borrowed model by its bare name": (
        {"provider": "azure", "model": "gpt-4o"},
        "model",
        "calls of it are priced as openai/gpt-4o",
    ),
    "nobody's project": ({"project": "p_000000000000"}, "project", "no project"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused_and_changes_nothing(tenant, what):
    fields, field, said = REFUSED[what]
    before = stored(tenant)
    with pytest.raises(RefusedError, match=said) as refused:
        create(tenant, **({"name": "Discount"} | fields))
    assert refused.value.field == field
    assert stored(tenant) == before


def test_edges_that_are_allowed(tenant):
    create(tenant, "Nothing", basis_points=-10_000, priority=1)
    create(tenant, "Eleven times", basis_points=100_000, priority=2)
    create(tenant, "Zero", kind="absolute", basis_points=0, prices={"input": 0}, priority=3)
    create(tenant, "Borrowed", provider="azure", model="openai/gpt-4o")
    create(tenant, "Any provider's", model="own")
    create(tenant, "Not there yet", provider="openai", model="gpt-9*")


def test_another_tenants_project_is_nobodys(tenant):
    with pytest.raises(RefusedError, match="no project"):
        create(tenant, project=project_of(make_tenant("Other")).id)


def test_which_of_two_applies_is_never_chance(tenant):
    create(tenant, "First", model="small", ends_at=JUNE)
    with pytest.raises(RefusedError, match="“First” has the same project, provider, model and priority"):
        create(tenant, "Second", model="SMALL", starts_at=JUNE - timedelta(days=1))
    later = create(tenant, "Later", model="small", starts_at=JUNE)
    for row in (later, create(tenant, "Other priority", model="small", priority=1)):
        with pytest.raises(RefusedError, match="“First”"):
            change_override(override=row, wanted=wanted(row.name, model="small"), by=SOMEBODY)
    create(tenant, "Other model", model="s*")
    create(tenant, "Other provider", provider="acme", model="small")
    create(tenant, "Own", model="small", project=project_of(tenant).id)
    with pytest.raises(NameTakenError, match="“First”"):
        create(tenant, "First", priority=7)


def test_strangers_overrides_do_not_meet(tenant):
    other = make_tenant("Other")
    ours, theirs = create(tenant), create(other)
    assert (rule_for(tenant), rule_for(other)) == (ours.pk, theirs.pk)
    assert newest_version(other.id) == 1


# -- lists -----------------------------------------------------------------------------------------------------------


def run(path: Path, tenant: Tenant, *options: str) -> str:
    out = StringIO()
    call_command("import_overrides", str(path), "--tenant", tenant.id, *options, stdout=out)
    return out.getvalue()


CSV = """\
name,project,provider,model,kind,percent,prices,starts_at,ends_at,priority
Volume,,openai,*,percent,-12.5,,2026-01-01,2027-01-01,5
Trial,Default,acme,small,free,,,2026-01-01,,
Own,,openai,gpt-4o,absolute,,input=0.10|output = 0.40,2026-01-01T12:00+02:00,,
"""


def test_a_list_is_taken_whole_as_one_version(tenant, tmp_path):
    Tenant.objects.filter(pk=tenant.id).update(time_zone="Asia/Kolkata")
    path = tmp_path / "list.csv"
    path.write_text(CSV, encoding="utf-8")
    before = stored(tenant)
    assert "3 overrides of “Acme” would be added." in run(path, tenant, "--dry-run")
    assert stored(tenant) == before
    said = json.loads(run(path, tenant, "--json"))
    assert [each["name"] for each in said["overrides"]] == ["Volume", "Trial", "Own"]
    assert newest_version(tenant.id) == 1
    with tenant_scope(tenant.id):
        rows = {row.name: row for row in Override.objects.all()}
    assert rows["Volume"].basis_points == -1250
    assert rows["Volume"].starts_at == datetime(2025, 12, 31, 18, 30, tzinfo=UTC)  # midnight in the tenant's zone
    assert rows["Trial"].project_id == project_of(tenant).id
    assert rows["Own"].prices == {"input": 100_000, "output": 400_000}
    assert rows["Own"].starts_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    kinds = list(AuditEvent.objects.order_by("-id").values_list("kind", flat=True)[:4])
    assert kinds == ["overrides.imported", *["override.created"] * 3]
    assert OutboxRow.objects.filter(topic="overrides").count() == 1


def test_json_says_the_same(tenant, tmp_path):
    listed_rows = [
        {"name": "A", "kind": "percent", "percent": 2.5, "starts_at": "2026-01-01"},
        {"name": "B", "kind": "absolute", "prices": {"input": "0.1"}, "priority": 3, "model": "gpt-4o"},
    ]
    for number, text in enumerate((json.dumps(listed_rows), "\n".join(map(json.dumps, listed_rows)))):
        path, other = tmp_path / "list.json", make_tenant(f"Tenant {number}")
        path.write_text(text, encoding="utf-8")
        run(path, other)
        with tenant_scope(other.id):
            found = {row.name: (row.basis_points, row.prices, row.priority) for row in Override.objects.all()}
        assert found == {"A": (250, {}, 0), "B": (0, {"input": 100_000}, 3)}


def test_of_ten_thousand_lines_the_three_that_are_wrong_are_told_and_nothing_is_changed(tenant, tmp_path):
    lines = [f"Rule {n},percent,-5,acme,model-{n % 19 + 1},2026-01-01,{n // 19 - 500}" for n in range(10_000)]
    lines[17] = lines[17].replace("-5", "five", 1)
    lines[4_000] = lines[4_000].replace("model-", "modle-")
    lines[9_999] = lines[9_998].replace("Rule 9998", "Rule 9999")
    path = tmp_path / "list.csv"
    header = "name,kind,percent,provider,model,starts_at,priority"
    path.write_text("\n".join([header, *lines]), encoding="utf-8")
    before = stored(tenant)
    with pytest.raises(CommandError) as refused:
        run(path, tenant)
    told = str(refused.value).splitlines()
    assert told[0] == "Nothing was changed."
    assert [line.partition(",")[0] for line in told[1:]] == ["line 19", "line 4002", "line 10001"]
    assert "'five' is not a percentage" in told[1]
    assert "The nearest: model-" in told[2]
    assert "“Rule 9998” (line 10000) has the same" in told[3]
    assert stored(tenant) == before
    lines[17], lines[4_000], lines[9_999] = (f"Rule {n},free,,acme,{n}*,2026-01-01,0" for n in (17, 4_000, 9_999))
    path.write_text("\n".join([header, *lines]), encoding="utf-8")
    assert "10,000 overrides of “Acme” added." in run(path, tenant)
    assert len(rules_in(book_of(tenant.id, 1))) == 10_000


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("name,kind\nA,free,x\nB,free\nC,nothing\nD,free,,\n", ["2", "4, kind", "5"]),
        ('{"name": "A"\n{"name": "B", "kind": "free"}\n[2]\n{"name": "C", "kind": "no"}', ["1", "3", "4, kind"]),
        ('[{"name": "A", "kind": "free"}, 2, {"name": "B", "kind": "free", "prices": 5}, 3]', ["2", "3, prices", "4"]),
    ],
)
def test_a_line_that_is_out_of_shape_hides_no_other(tenant, tmp_path, text, lines):
    path = tmp_path / "list"
    path.write_text(text, encoding="utf-8")
    before = stored(tenant)
    with pytest.raises(CommandError) as refused:
        run(path, tenant)
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()[1:]] == [
        f"line {each}" for each in lines
    ]
    assert stored(tenant) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: There is no override"),
        ("name,percent\nA,5", "line 1: The first line names the columns"),
        ("name,kind,smell\nA,free,x", "line 2: There is no column 'smell'"),
        ("name,kind\nA,free,x", "line 2: It has 3 fields"),
        ('name,kind\n"A,free', "cannot be read as CSV"),
        ("name,kind,percent\nA,percent,many", "line 2, percent: 'many' is not a percentage"),
        ("name,kind,percent\nA,percent,1.234", "line 2, percent: A percentage can have two decimal places"),
        ("name,kind,prices\nA,absolute,input", "line 2, prices: Write each price once"),
        ("name,kind,prices\nA,absolute,input=-1", "line 2, prices: A price cannot be negative"),
        ("name,kind,starts_at\nA,free,soon", "line 2, starts_at: Write a day"),
        ("name,kind,priority\nA,free,high", "line 2, priority: Write a whole number"),
        ("name,kind,project\nA,free,Nowhere", "line 2, project: There is no project 'Nowhere'"),
        ("name,kind\nA,free\nA,free", "line 3, name: There is an active override named “A” already (line 2)"),
        ("[1]", "line 1: It is no JSON object"),
        ('{"name": "A", "kind": "free"}\n{"name":', "line 2: This is not JSON"),
        ("[{]", "line 1: This is not JSON"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_line(tenant, tmp_path, text, said):
    path = tmp_path / "list"
    path.write_text(text, encoding="utf-8")
    before = stored(tenant)
    with pytest.raises(CommandError) as refused:
        run(path, tenant)
    assert said in str(refused.value)
    assert stored(tenant) == before


def test_a_document_is_read_again_as_it_was(tenant):
    create(tenant, kind="absolute", basis_points=0, prices={"input": 3}, ends_at=JUNE, project=project_of(tenant).id)
    with tenant_scope(tenant.id):
        create_project(tenant=tenant, name="Second", by=SOMEBODY)
        content = render("overrides", [tenant.id], environments=["dev"])[tenant.id][0].content
    assert msgspec.json.decode(msgspec.json.encode(content), type=type(content)) == content
