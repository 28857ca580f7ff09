"""Pages of overrides, as people fill them in and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from changes.models import AuditEvent, OutboxRow
from pricing.actions.overrides import archive_override, change_override, create_override
from pricing.models import Override, OverrideBook
from pricing.override_rules import OverrideSettings
from tenants.actions.projects import create_project
from tenants.models import Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import SYNC, sync_and_approve
from wire.prices import Tiered

pytestmark = pytest.mark.django_db

HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;{{7*7}}"
NEW = reverse("pricing:override_new")
LIST = reverse("pricing:overrides")
FORM = {"name": "Volume discount", "kind": "percent", "percent": "15", "direction": "off"}


@pytest.fixture
def priced(db) -> None:
    tiered = Tiered(1_250_000, ((200_000, 2_500_000),))
    long = listed("long", input=tiered, output=10_000_000)
    other = provider("other", listed("big", input=1_000_000, output=5_000_000))
    sync_and_approve(catalogue(*acme(3).providers, other, provider("tall", long)))


@pytest.fixture
def tenant(admin_client, priced) -> Tenant:
    Tenant.objects.filter(pk=admin_client.tenant.pk).update(time_zone="Asia/Kolkata")
    admin_client.tenant.refresh_from_db()
    return admin_client.tenant


def settings(**fields) -> OverrideSettings:
    now = timezone.now()
    return OverrideSettings(
        **({"name": "Volume discount", "kind": "percent", "basis_points": -1_500, "starts_at": now} | fields)
    )


def only_override() -> Override:
    with across_tenants("a test looks"):
        return Override.objects.get()


def text(response) -> str:
    """What a page says, without its markup."""
    words = re.sub(r"<[^>]+>", " ", response.content.decode())
    return unescape(re.sub(r"\s+", " ", words))


def test_an_override_is_made_in_the_browser_with_a_passkey(admin_client, tenant):
    assert "List prices hold" in text(admin_client.get(LIST))
    assert admin_client.post(NEW, FORM).status_code == 403
    with across_tenants("a test looks"):
        assert not Override.objects.exists()
    answer = admin_client.confirmed_post(
        NEW, FORM | {"provider": "acme", "model": "model*", "starts_at": "2026-12-01T00:00", "priority": "7"}
    )
    made = only_override()
    assert answer["Location"] == reverse("pricing:override", args=[made.pk])
    assert (made.basis_points, made.provider, made.model, made.priority) == (-1_500, "acme", "model*", 7)
    assert made.starts_at == datetime(2026, 11, 30, 18, 30, tzinfo=UTC)  # midnight in Kolkata
    page = text(admin_client.get(LIST))
    for words in (
        "Volume discount Scheduled",
        "model* of acme All projects",
        "15% off the list price",
        "from 1 Dec 2026 00:00 IST no end",
        "Asha",
    ):
        assert words in page
    one = text(admin_client.get(answer["Location"]))
    assert "2 models of the catalogue today: acme/model-1, acme/model-2" in one
    assert "Asha created the override Volume discount version 1 of the overrides" in one


@pytest.mark.parametrize(
    ("typed", "direction", "points"),
    [
        ("15", "off", -1_500),
        ("-15", "off", -1_500),
        ("−2.5", "off", -250),
        ("15 %", "on", 1_500),
        ("+0.01", "on", 1),
        ("100", "off", -10_000),
    ],
)
def test_a_percentage_is_typed_with_its_direction(admin_client, tenant, typed, direction, points):
    admin_client.confirmed_post(NEW, FORM | {"percent": typed, "direction": direction})
    assert only_override().basis_points == points


def test_prices_are_typed_as_price_lists_quote_them(admin_client, tenant):
    prices = {"price_unit_0": "input", "price_amount_0": "$0.15", "price_unit_1": "output", "price_amount_1": ""}
    more = {"price_unit_2": "images", "price_amount_2": "0.04", "price_unit_3": "cache_read", "price_amount_3": "0"}
    admin_client.confirmed_post(NEW, {"name": "Own", "kind": "absolute"} | prices | more)
    made = only_override()
    assert made.prices == {"input": 150_000, "images": 40_000_000_000, "cache_read": 0}
    path = reverse("pricing:override_edit", args=[made.pk])
    page = admin_client.get(path).content.decode()
    for value in ('value="0.15"', 'value="0.04"', 'value="0"'):
        assert value in page
    assert "Input tokens $0.15 a million tokens" in text(admin_client.get(LIST))
    # what was not touched stays exactly as it is, its beginning to the millisecond included
    form = admin_client.get(path).context["form"]
    same = {name: str(field.value()) for name in form.fields if (field := form[name]).value() not in (None, "")}
    assert admin_client.confirmed_post(path, same).status_code == 302
    assert only_override().version == 1
    with across_tenants("a test looks"):
        assert OverrideBook.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"name": " "}, "name", "Write a name"),
        ({"percent": ""}, "percent", "Write a percentage"),
        ({"percent": "fifteen"}, "percent", "is not a percentage"),
        ({"percent": "1.234"}, "percent", "two decimal places"),
        ({"percent": "+5"}, "percent", "they contradict"),
        ({"percent": "-5", "direction": "on"}, "percent", "they contradict"),
        ({"percent": "101"}, "percent", "lies between −100"),
        ({"percent": "0.15e1"}, "percent", "is not a percentage"),
        ({"kind": "half"}, "kind", "Choose what is charged"),
        ({"kind": "absolute"}, "price_amount_0", "at least one price"),
        ({"kind": "absolute", "price_amount_4": "1"}, "price_unit_4", "Choose what this price is for"),
        ({"kind": "absolute", "price_unit_0": "input", "price_amount_0": "1e3"}, "price_amount_0", "is not a price"),
        ({"kind": "absolute", "price_unit_0": "input", "price_amount_0": "-1"}, "price_amount_0", "cannot be negative"),
        (
            {"kind": "absolute", "price_unit_0": "input", "price_amount_0": "0.0000001"},
            "price_amount_0",
            "finer than a pico-USD",
        ),
        (
            {f"price_{what}_{n}": ("input", "1")[what == "amount"] for n in (0, 1) for what in ("unit", "amount")}
            | {"kind": "absolute"},
            "price_unit_1",
            "above already",
        ),
        ({"model": "gpt-5"}, "model", "The catalogue has no model 'gpt-5'"),
        ({"provider": "acne"}, "provider", "The nearest: acme"),
        ({"starts_at": "tomorrow"}, "starts_at", "Write a day like"),
        ({"starts_at": "1500-01-01"}, "starts_at", "between 2000 and 2100"),
        ({"starts_at": "2026-12-02", "ends_at": "2026-12-01"}, "ends_at", "must lie after the start"),
        ({"priority": "1001"}, "priority", "1000"),
        ({"priority": "high"}, "priority", "whole number"),
        ({"project": "p_000000000000"}, "project", "valid choice"),
    ],
)
def test_what_cannot_be_comes_back_at_its_field(admin_client, tenant, fields, field, says):
    answer = admin_client.confirmed_post(NEW, FORM | fields)
    assert answer.status_code == 422
    assert says in " ".join(answer.context["form"].errors[field])
    assert says in text(answer)
    with across_tenants("a test looks"):
        assert not Override.objects.exists()


def test_of_two_people_the_second_sees_what_stands_there_now(admin_client, tenant):
    row = create_override(tenant=tenant, wanted=settings(), by=SYNC)
    path = reverse("pricing:override_edit", args=[row.pk])
    opened = admin_client.get(path).context["form"]
    change_override(override=row, wanted=settings(basis_points=-2_000, name="Other", starts_at=row.starts_at), by=SYNC)
    seen = {name: opened[name].value() for name in ("name", "starts_at", "version", "opened")}
    answer = admin_client.confirmed_post(path, FORM | seen | {"percent": "30"})
    assert answer.status_code == 422
    page = text(answer)
    assert "changed by test.sync" in page
    assert "It says now: 20." in page  # both changed it
    form = answer.context["form"]
    assert (form["name"].value(), form["percent"].value(), form["version"].value()) == ("Other", "30", "2")
    again = {name: form[name].value() for name in ("name", "starts_at", "version", "opened")}
    assert admin_client.confirmed_post(path, FORM | {"percent": "30"} | again).status_code == 302
    found = only_override()
    assert (found.name, found.basis_points, found.starts_at) == ("Other", -3_000, row.starts_at)


def test_archiving_needs_a_passkey_and_ends_it(admin_client, tenant):
    row = create_override(tenant=tenant, wanted=settings(), by=SYNC)
    path = reverse("pricing:override_archive", args=[row.pk])
    assert admin_client.get(path).status_code == 405
    assert admin_client.post(path).status_code == 403
    assert only_override().status == "active"
    assert admin_client.confirmed_post(path, {})["Location"] == LIST
    assert "None is in force or to come" in text(admin_client.get(LIST))
    assert "Volume discount Archived" in text(admin_client.get(f"{LIST}?show=ended"))
    edit = reverse("pricing:override_edit", args=[row.pk])
    assert admin_client.get(edit)["Location"] == reverse("pricing:override", args=[row.pk])
    assert "is archived and cannot be changed" in text(admin_client.get(edit, follow=True))
    assert admin_client.confirmed_post(path, {}, follow=True).status_code == 200


def test_the_list_is_in_the_order_in_which_they_are_tried(admin_client, tenant):
    with tenant_scope(tenant.id):
        project = create_project(tenant=tenant, name="Checkout", by=SYNC)
    now = timezone.now()
    wanted = {
        "first of all": {"priority": 1},
        "newer of equals": {"priority": 1, "model": "big"},
        "a project's own": {"priority": -5, "project": project.id},
        "over": {"ends_at": now + timedelta(microseconds=1_000), "starts_at": now, "model": "s*"},
        "highest": {"priority": 9, "starts_at": now + timedelta(days=3)},
    }
    for name, fields in wanted.items():
        create_override(tenant=tenant, wanted=settings(name=name, **fields), by=SYNC)
    names = re.findall(r'class="row-link" href="[^"]*/o_[^"]*">([^<]*)<', admin_client.get(LIST).content.decode())
    assert [unescape(name) for name in names] == ["a project's own", "highest", "newer of equals", "first of all"]
    page = text(admin_client.get(LIST))
    assert "1 a project's own Active" in page
    assert "2 highest Scheduled" in page
    assert "over Ended" in text(admin_client.get(f"{LIST}?show=ended"))
    found = text(admin_client.get(f"{LIST}?q=EQUALS+newer"))
    assert "newer of equals" in found
    assert "highest" not in found
    assert "No override matches" in text(admin_client.get(f"{LIST}?q=nothing+like+it"))


def test_why_one_decides_and_at_which_prices(admin_client, tenant):
    with tenant_scope(tenant.id):
        project = create_project(tenant=tenant, name="Checkout", by=SYNC)
    begins = datetime(2026, 12, 1, tzinfo=UTC)
    for name, fields in {
        "for a project": {"project": project.id, "basis_points": -5_000},
        "later": {"priority": 5, "starts_at": begins},
        "for another model": {"priority": 4, "model": "big"},
        "for all": {"priority": 3, "basis_points": 1_000, "starts_at": begins - timedelta(days=90)},
        "never reached": {"kind": "free", "basis_points": 0, "starts_at": begins - timedelta(days=90)},
    }.items():
        create_override(tenant=tenant, wanted=settings(name=name, **fields), by=SYNC)
    page = text(admin_client.get(f"{LIST}?provider=tall&model=long&at=2026-11-20T12:00"))
    answer = page[page.index("Which one decides?") :]
    assert "“for all” decides" in answer
    assert "for a project It is for another project." in answer
    assert "later It has not begun by then." in answer
    assert "for all It fits, it holds at that time" in answer
    assert "1 other override is for other providers or models." in answer
    assert "never reached" not in answer
    assert "input tokens a million tokens $1.25 $2.50 above 200K $1.375 $2.75 above 200K" in answer
    of_project = text(admin_client.get(f"{LIST}?provider=tall&model=long&project={project.id}&at=2026-12-20T12:00"))
    assert "“for a project” decides" in of_project
    assert "output tokens a million tokens $10.00 $5.00" in of_project
    unknown = text(admin_client.get(f"{LIST}?provider=tall&model=nothing-like-it"))
    assert "The catalogue has no price for this model" in unknown
    assert "Write a provider" in text(admin_client.get(f"{LIST}?model=long"))
    assert "Write a moment like" in text(admin_client.get(f"{LIST}?provider=tall&model=long&at=noon"))


def test_without_overrides_the_list_price_is_charged(admin_client, tenant):
    page = text(admin_client.get(f"{LIST}?provider=ACME&model=small"))
    assert "No override fits: the list price is charged" in page
    assert "$0.15 $0.15" in page


def test_the_history_says_who_changed_what(admin_client, tenant):
    path = reverse("pricing:override_history")
    assert "Nothing was changed yet" in text(admin_client.get(path))
    admin_client.confirmed_post(NEW, FORM)
    row = only_override()
    changed = FORM | {"percent": "20", "version": "1", "model": "small", "ends_at": "2027-01-01T00:00"}
    admin_client.confirmed_post(reverse("pricing:override_edit", args=[row.pk]), changed)
    archive_override(override=only_override(), by=SYNC)
    page = text(admin_client.get(path))
    assert "System (test.sync) archived the override Volume discount" in page
    assert "Asha changed the override Volume discount" in page
    assert "Percentage 15% off the list price → 20% off the list price" in page
    assert "Ends No end → 1 Jan 2027 00:00 IST" in page
    assert "Model * → small" in page
    assert page.index("Version 3, 1 rule") < page.index("Version 2, 1 rule") < page.index("Version 1, 1 rule")


LINES = (
    "name,model,kind,percent,prices,starts_at\n"
    "Small ones,small,percent,-15,,2026-12-01\n"
    "Big ones,big,absolute,,input=0.15|output=0.60,\n"
)
UPLOAD, SAVE = reverse("pricing:override_upload"), reverse("pricing:override_upload_save")


def test_a_list_is_shown_first_then_added_whole_with_a_passkey(admin_client, tenant):
    file = SimpleUploadedFile("overrides.csv", LINES.encode())
    checked = admin_client.post(UPLOAD, {"file": file})
    page = text(checked)
    assert "2 overrides would be added" in page
    assert "Small ones Scheduled" in page
    assert "Input tokens $0.15 a million tokens, output tokens $0.60 a million tokens" in page
    with across_tenants("a test looks"):
        assert not Override.objects.exists()
    assert admin_client.post(SAVE, {"text": LINES}).status_code == 403
    assert admin_client.confirmed_post(SAVE, {"text": LINES})["Location"] == LIST
    assert "2 overrides added, as one version." in text(admin_client.get(LIST))
    with across_tenants("a test looks"):
        assert Override.objects.count() == 2
        assert OverrideBook.objects.count() == 1
    history = text(admin_client.get(reverse("pricing:override_history")))
    assert "Asha added 2 overrides from a list" in history


def test_a_list_tells_every_line_that_cannot_be_and_adds_none(admin_client, tenant):
    wrong = LINES + "Bad,smal,percent,5,,\nWorse,small,free,3,,\n"
    for path, send in ((UPLOAD, admin_client.post), (SAVE, admin_client.confirmed_post)):
        answer = send(path, {"text": wrong})
        assert answer.status_code == 422
        page = text(answer)
        assert "Nothing was changed: put these right first" in page
        assert "4 model The catalogue has no model 'smal'" in page
        assert "5 percent An override that is free has no percentage" in page
    with across_tenants("a test looks"):
        assert not Override.objects.exists()
        assert not OverrideBook.objects.exists()
    assert "Paste a list, or choose a file." in text(admin_client.post(UPLOAD, {"text": ""}))
    assert admin_client.post(UPLOAD, {"file": SimpleUploadedFile("a.csv", b"\xff\xfe\x00")}).status_code == 422


def test_a_list_with_line_breaks_of_its_own_is_saved_as_it_was_shown(admin_client, tenant):
    listed = "\n\n" + LINES.replace("\n", "\r\n")
    page = admin_client.post(UPLOAD, {"text": listed})
    inner = re.search(r'<textarea name="text" hidden>\n(.*?)</textarea>', page.content.decode(), re.S)
    assert unescape(inner[1]) == listed
    assert admin_client.confirmed_post(SAVE, {"text": listed}).status_code == 302


def test_hostile_names_are_text(admin_client, tenant):
    admin_client.confirmed_post(NEW, FORM | {"name": HOSTILE, "model": "<b>*"})
    row = only_override()
    for path in (
        LIST,
        f"{LIST}?q={HOSTILE}",
        f"{LIST}?provider=<b>&model=<b>x",
        reverse("pricing:override", args=[row.pk]),
        reverse("pricing:override_edit", args=[row.pk]),
        reverse("pricing:override_history"),
    ):
        page = admin_client.get(path).content.decode()
        assert "<img src=x" not in page, path
        assert "<b>" not in page, path
        assert "style=" not in page, path
    assert "&lt;img src=x" in admin_client.get(LIST).content.decode()
    listed = f'name,kind\n"{HOSTILE.replace(chr(34), chr(34) * 2)}2",free\n'
    page = admin_client.post(UPLOAD, {"text": listed}).content.decode()
    assert "<img src=x" not in page
    assert "1 override would be added" in page
    cut = admin_client.post(UPLOAD, {"text": "name,kind\n</textarea><script>x,free\n"}).content.decode()
    assert "<script>x" not in cut


def test_another_tenants_override_is_nowhere(admin_client, tenant):
    theirs = Tenant.objects.create(name="Theirs")
    row = create_override(tenant=theirs, wanted=settings(name="Secret terms"), by=SYNC)
    for name in ("override", "override_edit"):
        assert admin_client.get(reverse(f"pricing:{name}", args=[row.pk])).status_code == 404
    for name in ("override_edit", "override_archive"):
        path = reverse(f"pricing:{name}", args=[row.pk])
        assert admin_client.confirmed_post(path, FORM if name == "override_edit" else {}).status_code == 404
    for path in (LIST, f"{LIST}?q=Secret", f"{LIST}?provider=acme&model=small", reverse("pricing:override_history")):
        assert "Secret terms" not in admin_client.get(path).content.decode()
    assert admin_client.get(reverse("pricing:override", args=["o_nothing"])).status_code == 404


def test_what_is_saved_is_told_to_gateways_and_to_the_trail(admin_client, tenant):
    admin_client.confirmed_post(NEW, FORM)
    assert OutboxRow.objects.filter(topic="overrides", object_id=tenant.id).exists()
    event = AuditEvent.objects.get(kind="override.created")
    assert (event.actor_kind, event.tenant_id) == ("user", tenant.id)


def test_a_long_list_takes_pages_and_few_queries(admin_client, tenant, django_assert_max_num_queries):
    lines = "".join(f"Override {n:03},small{n}*,free\n" for n in range(120))
    admin_client.confirmed_post(SAVE, {"text": f"name,model,kind\n{lines}"})
    with django_assert_max_num_queries(24):
        page = text(admin_client.get(LIST))
    assert "1 to 50 of 120" in page
    last = text(admin_client.get(f"{LIST}?page=3"))
    assert "101 to 120 of 120" in last
    assert " 101 Override" in last
