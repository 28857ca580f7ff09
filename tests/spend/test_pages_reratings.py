"""Unpriced models of all tenants, and re-ratings, as pages, commands and jobs show them."""

from __future__ import annotations

import html
import io
import json
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from changes.actor import Actor
from pricing.actions.by_hand import add_hand_price
from spend.models import Rerating, UnpricedModel
from spend.rerating.actions import stop_rerating
from spend.rerating.run import work_off
from spend.rollup import recount
from spend.tasks import settle_unpriced
from spend.unpriced import note_unpriced_models, settle_unpriced_models
from tests.pricing.catalogues import acme
from tests.pricing.conftest import sync_and_approve
from tests.spend.customer import Customer
from tests.tenants.making import make_tenant
from wire.money import usd_string

BY = Actor("user", "u_somebody0001", role="platform_admin")
PRIVATE = {"cost": None, "provider": "acme", "model_asked": "private-7b", "units": {"input": 10, "output": 5}}


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    sync_and_approve(acme())
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


def text_of(response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def price_it(starts=None) -> None:
    starts = starts or timezone.now().date() - timedelta(days=60)
    add_hand_price(provider="acme", model="private-7b", prices={"input": 100, "output": 200}, starts=starts, by=BY)


def done() -> Rerating:
    """The newest job, worked off and counted."""
    job = Rerating.objects.latest("created_at")
    work_off(job.pk)
    while recount():
        pass
    job.refresh_from_db()
    assert job.status == Rerating.Status.DONE, job.error
    return job


def test_from_unpriced_to_priced_in_a_few_clicks(admin_client, customer):
    other = Customer(make_tenant("Second"), zone="UTC")
    UnpricedModel.objects.create(
        provider="acme", model="private-7b", first_seen=timezone.now() - timedelta(days=3), envs=["prod"]
    )
    customer.count([customer.event(**PRIVATE), customer.event(**PRIVATE), other.event(**PRIVATE)])
    page = text_of(admin_client.get("/unpriced"))
    assert re.search(r"private-7b acme .* dev, prod 2 3 45 ", page)
    assert "Re-rate 3 calls" not in page
    try:
        assert reverse("pricing:new_price") in admin_client.get("/unpriced").content.decode()
    except NoReverseMatch:
        assert "No price" in page

    price_it()
    page = admin_client.get("/unpriced")
    assert "Re-rate 3 calls" in text_of(page)
    form = re.search(r'<form method="post" action="/reratings/new">(.*?)</form>', page.content.decode(), re.S)[1]
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    begun = admin_client.post("/reratings/new", fields)
    job = done()
    assert begun.headers["Location"] == f"/reratings/{job.pk}"
    assert (job.dry, job.changed, job.unpriced_only) == (True, 3, True)

    page = admin_client.get(f"/reratings/{job.pk}")
    text = text_of(page)
    assert "3 calls of 2 tenants will be written again" in text
    assert "Unpriced calls 0 3 before" in text
    assert f"{customer.tenant.name} {customer.tenant.id} 2 2 2 0" in text
    assert f"Second {other.tenant.id} 1 1 1 0" in text
    difference = re.search(r'name="difference" value="(\d+)"', page.content.decode())[1]
    assert int(difference) == 3 * (10 * 100 + 5 * 200)

    assert admin_client.post(f"/reratings/{job.pk}/apply", {"difference": difference}).status_code == 403
    wrong = admin_client.confirmed_post(f"/reratings/{job.pk}/apply", {"difference": "1"})
    assert wrong.headers["Location"] == f"/reratings/{job.pk}"
    assert Rerating.objects.count() == 1
    applied = admin_client.confirmed_post(f"/reratings/{job.pk}/apply", {"difference": difference})
    real = done()
    assert applied.headers["Location"] == f"/reratings/{real.pk}"
    assert (real.dry, real.dry_run_id, real.changed) == (False, job.pk, 3)
    assert "Every call has a price" in text_of(admin_client.get("/unpriced"))
    assert "private-7b" in text_of(admin_client.get("/reratings"))
    assert "was applied" not in text_of(admin_client.get(f"/reratings/{job.pk}"))

    assert UnpricedModel.objects.get().resolved_at is None
    settle_unpriced()
    assert UnpricedModel.objects.get().resolved_at is not None
    assert settle_unpriced_models() == 0
    customer.call(**PRIVATE | {"price_version": 1})
    settle_unpriced()
    assert UnpricedModel.objects.get().resolved_at is None


def test_a_search_narrows_and_a_platform_admin_may_look_at_one_tenant(admin_client, customer):
    other = Customer(make_tenant("Second"), zone="UTC")
    customer.count([customer.event(**PRIVATE), other.event(**PRIVATE | {"model_asked": "secret-8b"})])
    everywhere = text_of(admin_client.get("/unpriced"))
    assert "private-7b" in everywhere
    assert "secret-8b" in everywhere
    assert "secret-8b" not in text_of(admin_client.get("/unpriced?q=PRIVATE"))
    assert "No unpriced model matches" in text_of(admin_client.get("/unpriced?q=nothing"))
    own = text_of(admin_client.get("/unpriced?of=tenant"))
    assert "private-7b" in own
    assert "secret-8b" not in own


def test_a_flag_of_a_model_that_nobody_counted_yet_stands_until_it_has_a_price(admin_client, customer, queues):
    UnpricedModel.objects.create(provider="acme", model="private-7b", first_seen=timezone.now(), envs=["dev"])
    assert "not counted yet" in text_of(admin_client.get("/unpriced"))
    price_it()
    assert "Every call has a price" in text_of(admin_client.get("/unpriced"))
    assert settle_unpriced_models() == 1
    assert note_unpriced_models() == 0


def test_a_job_at_work_refreshes_itself_and_can_be_stopped_and_resumed(admin_client, customer):
    customer.call(**PRIVATE)
    today = timezone.now().date().isoformat()
    admin_client.post("/reratings/new", {"first": today, "last": today})
    job = Rerating.objects.get()
    address = f"/reratings/{job.pk}"
    page = admin_client.get(address).content.decode()
    live = html.unescape(re.search(r'hx-get="([^"]+)"', page)[1])
    assert admin_client.get(live).status_code == 204
    assert admin_client.post(f"{address}/stop").status_code == 302
    assert "Stopped" in text_of(admin_client.get(live))
    assert admin_client.post(f"{address}/resume").status_code == 403
    assert admin_client.confirmed_post(f"{address}/resume", {}).status_code == 302
    assert done().events == 1
    assert "Nothing would change" in text_of(admin_client.get(address))
    stopped = admin_client.post(f"{address}/stop", follow=True)
    assert "This re-rating is done: nothing was changed." in text_of(stopped)


def test_an_outdated_dry_run_says_so_and_leads_to_another(admin_client, customer):
    customer.call(**PRIVATE)
    price_it()
    today = timezone.now().date().isoformat()
    yesterday = (timezone.now().date() - timedelta(days=1)).isoformat()
    admin_client.post("/reratings/new", {"first": yesterday, "last": today, "model": "private-7b", "provider": "acme"})
    job = done()
    sync_and_approve(acme(input=151_000))
    page = admin_client.get(f"/reratings/{job.pk}")
    assert "Prices have changed since this dry run" in text_of(page)
    again = html.unescape(re.search(r'href="(/reratings/new\?[^"]+)"', page.content.decode())[1])
    form = admin_client.get(again).content.decode()
    assert 'value="private-7b"' in form
    assert f'value="{yesterday}"' in form
    refused = admin_client.confirmed_post(f"/reratings/{job.pk}/apply", {"difference": str(3 * 1000 - 1000)})
    assert refused.status_code == 302
    assert Rerating.objects.count() == 1


def test_bad_input_is_told_beside_its_field(admin_client, customer):
    sent = {"first": "2026-11-02", "last": "2026-11-01", "tenant": "Nobody Ltd"}
    page = admin_client.post("/reratings/new", sent)
    assert page.status_code == 422
    assert "There is no tenant with this id or name." in text_of(page)
    page = admin_client.post("/reratings/new", sent | {"tenant": ""})
    assert "The end must be after the beginning." in text_of(page)
    assert not Rerating.objects.exists()
    assert admin_client.get("/reratings/r_000000000000").status_code == 404


def test_the_command_runs_dry_and_then_applies(customer):
    customer.call(**PRIVATE)
    price_it()
    day = timezone.now().date()
    span = ["--from", (day - timedelta(days=1)).isoformat(), "--to", day.isoformat()]

    def rerate(*options: str) -> str:
        out = io.StringIO()
        call_command("rerate", *span, *options, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    with pytest.raises(CommandError, match="Run the same with --dry-run --wait first"):
        rerate("--wait")
    with pytest.raises(CommandError, match="no tenant with the id or name 'nobody'"):
        rerate("--dry-run", "--tenant", "nobody")
    said = json.loads(rerate("--dry-run", "--wait", "--json", "--unpriced-only"))
    assert (said["status"], said["changed"], said["sums"]["charge_after"]) == ("done", 1, "2000")
    assert list(said["tenants"]) == [customer.tenant.id]
    assert "waiting" in rerate("--dry-run")
    text = rerate("--unpriced-only", "--wait")
    assert "1 call of 1 changed: the charge from $0.00 to $0.000000002; unpriced before 1, after 0." in text
    with pytest.raises(CommandError, match="There is no finished dry run"):
        rerate("--unpriced-only", "--wait")


def test_a_job_that_was_stopped_in_the_middle_says_so(admin_client, customer):
    customer.call(**PRIVATE | {"cost": usd_string(5)})
    today = timezone.now().date().isoformat()
    admin_client.post("/reratings/new", {"first": today, "last": today, "unpriced_only": "on"})
    stop_rerating(job=Rerating.objects.get(), by=BY)
    assert "Stopped" in text_of(admin_client.get("/reratings"))
    assert "Unpriced calls" in text_of(admin_client.get("/reratings"))


def test_the_list_says_what_a_dry_run_found_and_whether_it_was_applied(admin_client, customer):
    customer.call(**PRIVATE)
    price_it()
    today = timezone.now().date()
    address = reverse("spend:rerating_new")
    admin_client.post(address, {"first": today - timedelta(days=40), "last": today, "model": "private-7b"})
    dry = done()
    listed = text_of(admin_client.get(reverse("spend:reratings")))
    assert "Dry run Not applied 1 1 +$0.000000002" in listed
    one = reverse("spend:rerating", args=[dry.pk])
    apply = reverse("spend:rerating_apply", args=[dry.pk])
    admin_client.confirmed_post(apply, {"difference": "2000"})
    done()
    listed = text_of(admin_client.get(reverse("spend:reratings")))
    assert "Re-rating Done 1 1 +$0.000000002" in listed
    assert "Dry run Applied 1 1 +$0.000000002" in listed
    assert "What would change Applied" in text_of(admin_client.get(one))


def test_a_new_dry_run_is_about_this_month_unless_the_address_says_otherwise(admin_client, customer):
    address = reverse("spend:rerating_new")
    page = admin_client.get(address).content.decode()
    today = timezone.now().date()
    assert f'name="first" value="{today.replace(day=1)}"' in page
    assert f'name="last" value="{today}"' in page
    assert '<option value="acme">' in page
    assert 'name="first" value="2026-01-02"' in admin_client.get(f"{address}?first=2026-01-02").content.decode()
