"""The frame of every page, and the filters and tags that every template has."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django import forms
from django.template import engines

from spendops.context import NAVIGATION, navigation
from spendops.templatetags.icons import icon
from tenants.permissions import Permission


def rendered(text: str, **context) -> str:
    return engines["django"].from_string(text).render(context)


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ value|usd }}", "$0.00004155"),
        ("{{ value|per_million }}", "$41.55"),
        ("{{ nothing|usd }}{{ nothing|count }}{{ nothing|day }}{{ nothing|duration }}", "––––"),
        ("{{ zero|count }}", "0"),
        ("{{ one|counted:'policy,policies' }}, {{ zero|counted:'request' }}", "1 policy, 0 requests"),
        ("{{ name|monogram }}{{ short|monogram }}", "ECAC"),
        ("{% cost value %}", '<span title="$0.00004155">$0.00004155</span>'),
        ("{% cost cents among=dollars %}", '<span title="$0.012345">$0.01</span>'),
        ("{% cost nothing %}", '<span class="quiet">unpriced</span>'),
    ],
)
def test_figures_in_templates(template, shown):
    context = {
        "value": 41_550_000,
        "nothing": None,
        "zero": 0,
        "one": 1,
        "name": "Example & Corp",
        "short": "Acme",
        "cents": Decimal("0.012345"),
        "dollars": Decimal(20),
    }
    assert rendered(template, **context) == shown


def test_a_moment_is_shown_in_the_tenant_s_zone():
    request = SimpleNamespace(tenant=SimpleNamespace(time_zone="Asia/Kolkata"))
    shown = rendered("{% when at %}", at=datetime(2026, 11, 21, 3, 10, 12, tzinfo=UTC), request=request)
    assert shown == (
        '<time datetime="2026-11-21T03:10:12Z" title="21 Nov 2026 08:40:12.000, Asia/Kolkata (UTC+05:30)">'
        "21 Nov 08:40:12 IST</time>"
    )
    assert rendered("{% when at %}", at=None, request=request) == "–"


@pytest.mark.parametrize(
    ("used", "limit", "forecast", "widths"),
    [
        (50, 100, 80, {"used": 500, "forecast": 800, "limit": None}),
        (150, 100, 0, {"used": 1000, "forecast": None, "limit": 666}),  # an overspend runs past the limit's mark
        (50, 100, 500, {"used": 250, "forecast": 1000, "limit": 500}),  # a wild forecast leaves the rest legible
        (0, 0, 0, {"used": None, "forecast": None, "limit": 0}),
    ],
)
def test_a_meter_is_drawn_to_scale(used, limit, forecast, widths):
    svg = rendered("{% meter used limit forecast=forecast label='x' %}", used=used, limit=limit, forecast=forecast)

    def width(part: str, attribute: str) -> int | None:
        found = re.search(rf'class="meter-{part}"[^>]* {attribute}="(\d+)"', svg)
        return int(found[1]) if found else None

    drawn = {"used": width("used", "width"), "forecast": width("forecast", "width"), "limit": width("limit", "x1")}
    assert drawn == widths
    assert "style=" not in svg


def test_a_field_ties_its_help_and_errors_to_its_control():
    class Form(forms.Form):
        name = forms.CharField(help_text="As people call it.")
        env = forms.ChoiceField(choices=[("dev", "dev")])
        sure = forms.BooleanField()

    form = Form({"env": "dev"})
    field = rendered('{% include "components/field.html" with field=form.name %}', form=form)
    control = re.search(r"<input[^>]+>", field)[0]
    assert 'class="form-control"' in control
    assert 'aria-invalid="true"' in control
    described = re.search(r'aria-describedby="([^"]+)"', control)[1].split()
    assert described
    assert all(f'id="{each}"' in field for each in described)
    assert 'class="form-select"' in rendered("{% control form.env %}", form=form)
    assert 'class="form-check-input"' in rendered("{% control form.sure %}", form=form)


def test_an_icon_is_hidden_from_screen_readers_and_a_missing_one_is_an_error():
    assert 'aria-hidden="true"' in icon("key")
    with pytest.raises(FileNotFoundError):
        icon("no-such-icon")


@pytest.mark.parametrize(
    ("view_name", "current"),
    [
        ("spend:overview", "Spend"),
        ("spend:requests", "Requests"),
        ("spend:request", "Requests"),
        ("tenants:projects", "Projects"),
        ("tenants:project_rename", "Projects"),
        ("tenants:key", "API keys"),
        ("spend:unpriced", "Pricing"),
        ("spend:rerating_new", "Pricing"),
        ("access:passkeys", None),
        ("home", None),
    ],
)
def test_the_sidebar_shows_where_a_page_belongs(rf, view_name, current):
    request = rf.get("/")
    request.resolver_match = SimpleNamespace(view_name=view_name)
    request.user, request.permissions = None, frozenset(Permission)
    entries = navigation(request)["navigation"]
    assert [entry["label"] for entry in entries if entry["current"]] == ([current] if current else [])
    assert len(entries) == len(NAVIGATION)


@pytest.mark.parametrize(("cookie", "theme"), [("dark", "dark"), ("light", "light"), ('"><script>', ""), ("", "")])
def test_the_theme_is_what_was_chosen(rf, cookie, theme):
    request = rf.get("/")
    request.COOKIES["theme"] = cookie
    request.resolver_match = request.user = None
    assert navigation(request)["theme"] == theme


def test_every_page_has_a_skip_link_the_tenant_and_a_way_out(admin_client):
    page = admin_client.get("/keys").content.decode()
    assert 'href="#main"' in page
    assert 'id="main"' in page
    assert admin_client.tenant.name in page
    assert 'action="/sign-out"' in page
    assert "style=" not in page
    assert not re.search(r"\son\w+=|hx-on", page)


def test_what_is_not_there_is_said_in_the_product_s_look(admin_client, client):
    for person in (admin_client, client):
        answer = person.get("/nowhere", headers={"accept": "text/html"})
        assert answer.status_code == 404
        assert "There is nothing at this address" in answer.content.decode()


def test_a_mistake_of_ours_has_a_page_too(admin_client, settings, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("tenants.views.projects.find_projects", broken)
    admin_client.raise_request_exception = False
    answer = admin_client.get("/projects")
    assert answer.status_code == 500
    assert "It is our mistake" in answer.content.decode()
    assert "broken on purpose" not in answer.content.decode()
