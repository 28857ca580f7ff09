"""The pages of prices: what they say, what they refuse, and that a passkey stands behind changes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from changes.models import AuditEvent
from pricing.actions.catalogue import describe_model
from pricing.actions.overrides import create_override
from pricing.actions.sync import sync_prices
from pricing.listing import Order, Wanted, list_models
from pricing.models import CrossCheck, ExchangeRate, HandPrice, Model, PriceSync
from pricing.override_rules import OverrideSettings
from pricing.queries import current_version
from pricing.sources.base import SourceError
from tenants.permissions import Role
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import SYNC, Given, sync_and_approve
from tests.pricing.test_views import text
from tests.tenants.company import Company
from tests.tenants.making import SOMEBODY
from wire.prices import Tiered

pytestmark = pytest.mark.django_db

HOSTILE = '<script>alert("x")</script>'
TABLE = Path(__file__).parent / "model_prices.json"
NEW = {"provider": "our-own", "model": "tiny", "starts": "2026-11-01", "price_input": "0.15", "price_output": "0.60"}


@pytest.fixture
def waiting(db: None) -> PriceSync:
    """A change set: one price rises by half, one model vanishes; a small change was published with it."""
    sync_prices(Given(acme(20)), by=SYNC)
    found = sync_prices(Given(acme(19, input=225_000)), by=SYNC).waiting
    assert found is not None
    return found


def shown(page) -> list[str]:
    return [row["model"].model for row in page.context["rows"]]


# -- the catalogue


def test_the_catalogue_is_narrowed_by_what_models_can_do_and_cost(admin_client):
    models = (
        listed("cheap", input=100_000, output=400_000),
        listed("dear", input=5_000_000, output=25_000_000),
        listed("tiered", input=Tiered(1_000_000, ((200_000, 2_000_000),)), output=8_000_000),
        listed("drawing", images=40_000_000_000),
    )
    sync_prices(Given(catalogue(provider("acme", *models))), by=SYNC)
    facts = {"tier": "frontier", "context_window": "1,000,000", "capabilities": "tools, vision"}
    describe_model(model=Model.objects.get(model_id="dear"), by=SOMEBODY, facts=facts)
    for asked, names in (
        ("", ["cheap", "dear", "drawing", "tiered"]),
        ("capability=vision", ["dear"]),
        ("tier=frontier", ["dear"]),
        ("context=200000", ["dear"]),
        ("below=1", ["cheap", "tiered"]),
        ("below=0.099999", []),
        ("below=nonsense", ["cheap", "dear", "drawing", "tiered"]),
        ("tier=nonsense&sort=nonsense", ["cheap", "dear", "drawing", "tiered"]),
        ("sort=input", ["cheap", "tiered", "dear", "drawing"]),
        ("sort=-output", ["dear", "tiered", "cheap", "drawing"]),
        ("sort=-context", ["dear", "cheap", "drawing", "tiered"]),
        ("q=ACME+ear", ["dear"]),
    ):
        assert shown(admin_client.get(f"/pricing?{asked}")) == names, asked
    page = text(admin_client.get("/pricing?tier=frontier"))
    assert "Acme · Tools, vision" in page
    assert "Frontier 1M $5.00 $25.00" in page


def test_the_sort_of_a_column_turns_round_and_keeps_the_filters(admin_client, synced):
    heads = {each["label"]: each for each in admin_client.get("/pricing?provider=openai").context["heads"]}
    assert heads["Input"]["url"] == "?provider=openai&sort=input"
    heads = {
        each["label"]: each for each in admin_client.get(heads["Input"]["url"].join(["/pricing", ""])).context["heads"]
    }
    assert (heads["Input"]["direction"], heads["Input"]["url"]) == ("ascending", "?provider=openai&sort=-input")


def test_models_with_an_override_are_marked_and_found_by_whoever_may_see_overrides(db):
    company = Company()
    sync_prices(Given(acme(4)), by=SYNC)
    wanted = OverrideSettings(
        name="Half", kind="percent", basis_points=-5000, model="small*", starts_at=datetime.now(UTC) - timedelta(days=1)
    )
    create_override(tenant=company.tenant, wanted=wanted, by=SOMEBODY)
    finance, developer = company.person(Role.FINANCE_VIEWER), company.person(Role.DEVELOPER)
    assert shown(finance.get("/pricing?overridden=yes")) == ["small"]
    assert "small" not in shown(finance.get("/pricing?overridden=no"))
    assert "small Override" in text(finance.get("/pricing?overridden=yes"))
    assert "small Override" not in text(developer.get("/pricing?overridden=yes"))
    assert len(shown(developer.get("/pricing?overridden=yes"))) == 4


def test_models_that_are_gone_by_hand_or_without_a_price_are_found(admin_client):
    for given in (acme(4), acme(3)):
        sync_and_approve(given)
    admin_client.confirmed_post("/pricing/by-hand/new", NEW)
    assert shown(admin_client.get("/pricing?status=gone")) == ["model-3"]
    assert shown(admin_client.get("/pricing?status=by-hand")) == ["tiny"]
    assert shown(admin_client.get("/pricing?status=unpriced")) == []
    assert len(list_models(Wanted(order=Order.INPUT))) == 4


def test_the_whole_catalogue_is_sorted_quickly(admin_client, synced):
    began = datetime.now(UTC)
    list_models(Wanted(order=Order.OUTPUT_DOWN))
    assert datetime.now(UTC) - began < timedelta(seconds=5)  # some 2,300 models; a page waits for it


# -- one model


def test_a_models_price_is_drawn_over_its_days(admin_client):
    sync_and_approve(acme(2))
    assert admin_client.get("/pricing/acme/small").context["chart"] is None, "nothing moved yet"
    sync_and_approve(acme(2, output=900_000))
    page = admin_client.get("/pricing/acme/small")
    (output,) = [line for line in page.context["lines"] if line.unit == "output"]
    assert [price for _, price in output.steps] == [600_000, 900_000]
    drawn = page.context["chart"].figure["data"][1]
    assert (drawn["line"]["shape"], drawn["y"]) == ("hv", ["0.600000000000", "0.900000000000", "0.900000000000"])
    assert [step["prices"] for step in page.context["steps"]] == [["$0.15", "$0.90"], ["$0.15", "$0.60"]]


def test_only_prices_that_hold_or_are_to_come_are_told_as_prices(admin_client):
    for output in (600_000, 900_000, 950_000):
        sync_and_approve(acme(2, output=output))
    page = admin_client.get("/pricing/acme/small")
    assert [span.when for span in page.context["periods"]] == ["Always"]
    assert "Prices now" in text(page)


def test_facts_are_changed_with_a_passkey_for_exactly_them(admin_client):
    sync_prices(Given(acme(2)), by=SYNC)
    address = "/pricing/describe/acme/small"
    given = {"tier": "standard", "context_window": "200,000", "note": "https://acme.example/models"}
    assert admin_client.post(address, given).status_code == 403
    assert admin_client.confirmed_post(address, given).status_code == 302
    model = Model.objects.get(model_id="small")
    assert (model.tier, model.context_window) == ("standard", 200_000)
    page = text(admin_client.get("/pricing/acme/small"))
    assert "Tier Standard said by Asha" in page
    assert AuditEvent.objects.filter(kind="model.described").count() == 1
    refused = admin_client.confirmed_post(address, {"tier": "standard", "context_window": "lots"})
    assert refused.status_code == 422
    assert "'lots' is not a number of tokens" in refused.content.decode().replace("&#x27;", "'")
    nothing = admin_client.confirmed_post(address, {"tier": "standard", "context_window": "200000"})
    assert "Nothing was changed: give at least one fact." in nothing.content.decode()


def test_names_that_mean_harm_are_only_text(admin_client):
    model = listed(HOSTILE, input=1_000_000, output=1_000_000)
    sync_prices(Given(catalogue(provider("acme", model, listed("other", input=1_000_000, output=2_000_000)))), by=SYNC)
    dearer = listed(HOSTILE, input=9_000_000, output=1_000_000)
    wait = sync_prices(
        Given(catalogue(provider("acme", dearer, listed("other", input=1_000_000, output=2_000_000)))), by=SYNC
    ).waiting
    assert wait is not None
    compared = f"/pricing/compare?model=acme/{HOSTILE}&model=acme/other&model={HOSTILE}/{HOSTILE}"
    for address in ("/pricing", f"/pricing?q={HOSTILE}", compared, "/pricing/syncs", f"/pricing/syncs/{wait.pk}"):
        assert "<script>alert" not in admin_client.get(address).content.decode(), address
    assert "<script>alert" not in admin_client.get(f"/pricing/acme/{HOSTILE}").content.decode()


# -- side by side


def test_models_are_compared_exactly_and_the_cheapest_is_marked(admin_client):
    models = (
        listed("a", input=1_000_000, output=2_000_000, cache_read=100_000),
        listed("b", input=Tiered(500_000, ((5_000, 4_000_000),)), output=2_000_000),
        listed("unpriced", input=1_000_000),
    )
    sync_prices(Given(catalogue(provider("acme", *models))), by=SYNC)
    asked = "model=acme/a&model=acme/b&model=acme/unpriced&input=4000&cached=1000&output=500&requests=10"
    page = admin_client.get(f"/pricing/compare?{asked}")
    rows = {each["compared"].model: each["compared"] for each in page.context["rows"]}
    assert rows["a"].per_request == 3_000 * 1_000_000 + 1_000 * 100_000 + 500 * 2_000_000
    assert rows["b"].per_month == 10 * (4_000 * 500_000 + 500 * 2_000_000)  # cached tokens cost what its input does
    assert (rows["b"].cheapest, rows["a"].cheapest) == (True, False)
    assert rows["unpriced"].per_month is None
    assert "No price of output tokens" in text(page)
    assert [each["compared"].model for each in page.context["rows"]] == ["b", "a", "unpriced"]
    tiered = admin_client.get(f"/pricing/compare?{asked.replace('4000', '6000')}")
    assert tiered.context["rows"][0]["compared"].model == "a", "the longer context has another price"


def test_a_comparison_says_what_it_leaves_out(admin_client):
    sync_prices(Given(acme(20)), by=SYNC)
    many = "&".join(f"model=acme/model-{number}" for number in range(1, 9))
    page = text(admin_client.get(f"/pricing/compare?{many}&model=acme/none"))
    assert "Up to 6 models are compared: 3 more were left out." in page
    assert "There is no current price of acme/none" in text(admin_client.get("/pricing/compare?model=acme/none"))
    wrong = text(admin_client.get("/pricing/compare?model=acme/small&input=10&cached=20&output=x&requests=-1"))
    assert "Not more than there are input tokens." in wrong
    assert "Write a whole number such as 1500." in wrong
    assert "Write 0 or more." in wrong
    assert "Which models?" in text(admin_client.get("/pricing/compare"))


# -- syncs


def test_a_sync_shows_each_figure_before_and_after_the_largest_move_first(admin_client, waiting):
    page = admin_client.get(f"/pricing/syncs/{waiting.pk}")
    said = text(page)
    assert f"{waiting.changes.filter(status='waiting').count()} changes wait for a decision" in said
    assert [row["change"].model_id for row in page.context["changes"]][:2] == ["small", "model-19"]
    (figure,) = page.context["changes"][0]["figures"]
    assert figure == ("input tokens", "a million tokens", "$0.15", "$0.225", "+50%", True)
    assert "given lists it no more" in said
    narrowed = admin_client.get(f"/pricing/syncs/{waiting.pk}?kind=gone")
    assert [row["change"].model_id for row in narrowed.context["changes"]] == ["model-19"]
    assert admin_client.get("/pricing/syncs/999999").status_code == 404


def test_what_waits_is_told_where_prices_are(admin_client, waiting):
    for address in ("/pricing", "/pricing/syncs"):
        assert "Changes of prices wait for a platform admin" in text(admin_client.get(address))
    with pytest.raises(SourceError):
        sync_prices(Given(SourceError(f"it says {HOSTILE}")), by=SYNC)
    page = admin_client.get("/pricing").content.decode()
    assert "The last sync of prices failed: it says &lt;script&gt;" in page
    failed = PriceSync.objects.latest("at")
    assert "Prices stayed as they were." in text(admin_client.get(f"/pricing/syncs/{failed.pk}"))


def test_a_model_whose_change_waits_says_so_until_it_is_decided(admin_client, waiting):
    change = waiting.changes.filter(kind="changed", status="waiting").first()
    address = f"/pricing/{change.provider_id}/{change.model_id}"
    page = admin_client.get(address).content.decode()
    assert f"waits for a platform admin: {change.reason}. Until then it keeps the prices below." in page
    reject = f"/pricing/syncs/{waiting.pk}/reject"
    assert admin_client.confirmed_post(reject, {"digest": waiting.digest, "reason": ""}).status_code == 302
    assert "waits for a platform admin" not in admin_client.get(address).content.decode()


def test_what_waits_is_approved_with_a_passkey_for_exactly_its_digest(admin_client, waiting):
    address, version = f"/pricing/syncs/{waiting.pk}/approve", current_version()
    admin_client.step_up()
    assert admin_client.post(address, {"digest": waiting.digest}).status_code == 403
    other = admin_client.confirmed_post(address, {"digest": "0" * 64}, follow=True)
    assert "These are not the changes that wait" in text(other)
    assert current_version() == version
    done = admin_client.confirmed_post(address, {"digest": waiting.digest}, follow=True)
    assert f"Published as price book {version + 1}" in text(done)
    assert "Decided by Asha" in text(done)
    again = admin_client.confirmed_post(address, {"digest": waiting.digest}, follow=True)
    assert "does not wait any more: it is approved" in text(again)


def test_what_waits_is_rejected_and_not_proposed_again(admin_client, waiting):
    version = current_version()
    given = {"digest": waiting.digest, "reason": "A slip of the source."}
    done = admin_client.confirmed_post(f"/pricing/syncs/{waiting.pk}/reject", given, follow=True)
    assert "Rejected: prices stay as they are" in text(done)
    assert current_version() == version
    assert AuditEvent.objects.get(kind="prices.rejected").after["reason"] == "A slip of the source."
    assert sync_prices(Given(acme(19, input=225_000)), by=SYNC).waiting is None


def test_tenants_see_syncs_and_not_who_runs_the_installation(db):
    company = Company()
    sync_id = company.ids["sync_id"]
    sync = PriceSync.objects.get(pk=sync_id)
    company.person(Role.PLATFORM_ADMIN).confirmed_post(f"/pricing/syncs/{sync_id}/approve", {"digest": sync.digest})
    page = text(company.person(Role.TENANT_ADMIN).get(f"/pricing/syncs/{sync_id}"))
    assert "Decided by a platform admin" in page
    assert "platform_admin@" not in page
    assert "data-step-up" not in company.person(Role.TENANT_ADMIN).get(f"/pricing/syncs/{sync_id}").content.decode()


# -- by hand


def test_a_model_is_priced_changed_and_its_price_ended(admin_client):
    form = admin_client.get("/pricing/by-hand/new?provider=our-own&model=tiny").content.decode()
    assert 'value="our-own"' in form
    assert admin_client.post("/pricing/by-hand/new", NEW).status_code == 403
    assert (
        admin_client.confirmed_post("/pricing/by-hand/new", NEW | {"unit_0": "images", "amount_0": "0.04"}).status_code
        == 302
    )
    row = HandPrice.objects.get()
    assert row.prices == {"input": 150_000, "output": 600_000, "images": 40_000_000_000}
    said = text(admin_client.get(f"/pricing/{row.model}"))
    assert "have no price until they are re-rated: see Unpriced." in said
    change = f"/pricing/by-hand/{row.pk}/change"
    page = admin_client.get(change).content.decode()
    assert 'value="0.15"' in page
    assert 'value="0.04"' in page
    given = {"starts": "2026-11-15", "price_input": "0.20", "note": "Rent went up."}
    assert admin_client.confirmed_post(change, given).status_code == 302
    second = HandPrice.objects.get(starts=date(2026, 11, 15))
    listing = text(admin_client.get("/pricing/by-hand"))
    assert "input tokens $0.20 a million tokens Rent went up." in listing
    assert "1 Nov 2026 to before 15 Nov 2026" in listing
    end = f"/pricing/by-hand/{second.pk}/end"
    late = admin_client.confirmed_post(end, {"ends": "2026-01-01"})
    assert "end them on one of these days" in text_of(late)
    assert admin_client.confirmed_post(end, {"ends": "2026-12-01"}).status_code == 302
    assert HandPrice.objects.get(pk=second.pk).ends == date(2026, 12, 1)


def text_of(response) -> str:
    """What a page with a refused form says."""
    assert response.status_code == 422
    response.status_code = 200
    return text(response).replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"price_input": "-1"}, "A price cannot be negative."),
        ({"price_input": "150000"}, "is beyond any price"),
        ({"price_input": "", "price_output": ""}, "Give at least one price."),
        ({"amount_0": "1"}, "Choose what this is the price of."),
        ({"unit_0": "images"}, "Write what it costs."),
        ({"unit_0": "images", "amount_0": "1", "unit_1": "images", "amount_1": "2"}, "Images are priced twice."),
        ({"provider": "Our Own"}, "is not a provider"),
        ({"starts": "soon"}, "Write a day like 2026-11-30."),
        ({"ends": "2026-10-01"}, "The end must lie after the beginning"),
        ({"source_url": "javascript:alert(1)"}, "is not an address"),
        ({"provider": "acme", "model": "small"}, "small has a price of given already."),
        ({"unit_0": HOSTILE, "amount_0": "1"}, "Select a valid choice."),
    ],
)
def test_a_price_that_cannot_be_is_refused_at_its_field(admin_client, given, said):
    sync_prices(Given(acme(3)), by=SYNC)
    refused = admin_client.confirmed_post("/pricing/by-hand/new", NEW | given)
    assert said in text_of(refused)
    assert not HandPrice.objects.exists()
    assert current_version() == 1


def test_a_table_is_checked_line_by_line_before_anything_changes(admin_client):
    sync_prices(Given(acme(3)), by=SYNC)
    lines = "provider,model,unit,price\nacme,small,input,1\nour-own,tiny,tokens,1\nour-own,tiny,input,0.15\n"
    answer = admin_client.post("/pricing/by-hand/table/check", {"text": lines})
    said = text_of(answer)
    assert "3 unit 'tokens' is not a unit" in said
    good = lines.replace("our-own,tiny,tokens,1\n", "")
    assert "2 model small has a price of given already." in text_of(
        admin_client.post("/pricing/by-hand/table/check", {"text": good})
    )
    good = good.replace("acme,small,input,1\n", "")
    file = SimpleUploadedFile("prices.csv", b"\xef\xbb\xbf" + good.encode(), content_type="text/csv")
    page = admin_client.post("/pricing/by-hand/table/check", {"file": file})
    assert "1 price can be published" in text(page)
    assert (HandPrice.objects.count(), current_version()) == (0, 1)
    assert AuditEvent.objects.filter(kind="prices.by_hand").count() == 0
    done = admin_client.confirmed_post("/pricing/by-hand/table", {"text": good}, follow=True)
    assert "1 price added." in text(done)
    assert (HandPrice.objects.count(), current_version()) == (1, 2)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Write prices here, or choose a file."),
        ({"text": "nonsense"}, "The header lacks model, price, provider, unit."),
        ({"text": "[1, 2]"}, "Write a list of objects"),
        ({"text": '[{"provider": "our-own"}]'}, "A model needs a name"),
        ({"text": "x" * 500_001}, "at most 500000 characters"),
        ({"file": b"\xff\xfe\x00"}, "This is not UTF-8"),
        ({"file": b"x" * 500_001}, "The file is larger than 500 kB"),
    ],
)
def test_what_is_no_table_is_refused(admin_client, sent, said):
    if "file" in sent:
        sent = {"file": SimpleUploadedFile("prices.csv", sent["file"])}
    assert said in text_of(admin_client.post("/pricing/by-hand/table/check", sent))


# -- the cross-check


def test_another_table_is_compared_and_the_result_is_kept(admin_client, synced):
    sent = {"file": SimpleUploadedFile("model_prices.json", TABLE.read_bytes())}
    page = text(admin_client.post("/pricing/cross-check", sent, follow=True))
    assert "3 differ." in page
    assert "gpt-4o openai input tokens for a million tokens $2.50 $5.00 −50%" in page
    assert "models of providers that both list" in page
    narrowed = admin_client.get("/pricing/cross-check?q=gemini+input")
    assert [row["each"].model for row in narrowed.context["rows"]] == ["gemini-2.5-pro"]
    assert CrossCheck.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{}", "This is not LiteLLM's table"), (b"[", "This is not JSON"), (b"x" * 5_000_001, "larger than 5 MB")],
)
def test_what_is_no_such_table_is_refused(admin_client, synced, content, said):
    file = BytesIO(content)
    file.name = f"{HOSTILE}.json"
    answer = admin_client.post("/pricing/cross-check", {"file": file})
    assert said in text_of(answer)
    assert not CrossCheck.objects.exists()


def test_a_hostile_table_is_only_text(admin_client, synced):
    table = {HOSTILE: {"litellm_provider": "openai", "input_cost_per_token": 1}}
    file = SimpleUploadedFile("prices.json", json.dumps(table).encode())
    page = admin_client.post("/pricing/cross-check", {"file": file}, follow=True)
    assert "<script>alert" not in page.content.decode()


# -- rates


def _rates(day: date, **units: int) -> None:
    now = timezone.now()
    for currency, rate in units.items():
        ExchangeRate.objects.create(day=day, currency=currency, rate_e8=rate, source="ECB", seen_at=now)


def test_rates_are_told_with_their_day_and_say_when_they_are_old(admin_client):
    assert "No rates yet" in text(admin_client.get("/pricing/rates"))
    today = datetime.now(UTC).date()
    for back, dollar in ((9, 125_000_000), (8, 120_000_000)):
        _rates(today - timedelta(days=back), USD=dollar, INR=96 * 10**8)
    _rates(today - timedelta(days=40), USD=110_000_000, HRK=750_000_000)
    page = text(admin_client.get("/pricing/rates?currency=INR"))
    assert "INR Indian Rupee 80.00000" in page
    assert "EUR Euro 0.83333" in page
    assert "HRK" not in page, "a currency that is not published any more has no newest rate"
    assert "The newest rates are 8 days old." in page
    drawn = admin_client.get("/pricing/rates?currency=INR").context["chart"].figure["data"][0]
    assert drawn["y"] == ["76.80000000", "80.00000000"]
    _rates(today, USD=120_000_000, INR=96 * 10**8)
    assert "days old" not in text(admin_client.get("/pricing/rates?currency=nonsense&span=x"))


# -- who may what


def test_whoever_only_looks_is_offered_nothing_to_change(db):
    company = Company()
    sync_id = company.ids["sync_id"]
    developer = company.person(Role.DEVELOPER)
    for address in (
        "/pricing",
        "/pricing/by-hand",
        f"/pricing/syncs/{sync_id}",
        "/pricing/cross-check",
        "/pricing/acme/small",
    ):
        page = developer.get(address).content.decode()
        assert 'method="post"' not in page.split("<main")[1], address
        for absent in ("/pricing/by-hand/new", "/pricing/describe", "/approve"):
            assert absent not in page, address


def test_a_variant_that_changes_no_price_is_not_told_as_unpriced(admin_client, synced):
    page = text(admin_client.get("/pricing/openai/gpt-4o-mini"))
    assert "When service tier is priority" in page
    assert "When service tier is default" not in page
    assert "Listed without a price" not in page
