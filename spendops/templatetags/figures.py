"""Money, counts and times in templates, by `wire.display`: `{{ row.charge|usd }}`, `{% when event.at %}`."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, Select
from django.utils.html import format_html
from django.utils.safestring import SafeString

from wire import display

register = template.Library()

# Zero is a figure and is shown; None is a gap ("unpriced") and shows as a dash.
GAP = "–"
_WHOLE = 1000  # the width of a meter's drawing


def _or_gap(function: Any) -> Any:
    """The same filter, showing a gap for None."""

    def shown(value: Any, *arguments: Any) -> str:
        return GAP if value is None else function(value, *arguments)

    return shown


register.filter("usd", _or_gap(display.usd))
register.filter("usd_among", _or_gap(display.usd_among))
register.filter("usd_exact", _or_gap(display.usd_exact))
register.filter("money", _or_gap(display.money))
register.filter("per_million", _or_gap(display.price_per_million))
register.filter("count", _or_gap(display.count))
register.filter("compact", _or_gap(display.compact))
register.filter("percent", _or_gap(display.percent))
register.filter("duration", _or_gap(display.duration))


@register.filter
def counted(number: int, nouns: str) -> str:
    """`{{ n|counted:"request" }}`, `{{ n|counted:"policy,policies" }}`."""
    one, _, many = nouns.partition(",")
    return display.counted(number, one, many)


@register.filter
def moment(at: datetime | None, zone: str) -> str:
    """`{{ at|moment:tenant.time_zone }}` is "21 Nov 08:40:12 IST"."""
    return GAP if at is None else display.moment(at, zone)


@register.filter
def day(of: date | None) -> str:
    """`{{ period.last|day }}` is "21 Nov 2026"."""
    return GAP if of is None else display.day(of)


@register.filter
def monogram(name: str) -> str:
    """Two letters that stand for a name: "EC" for "Example Corp"."""
    words = [word for word in name.split() if word[0].isalnum()]
    letters = words[0][0] + words[-1][0] if len(words) > 1 else name[:2]
    return letters.upper()


@register.simple_tag(takes_context=True)
def when(context: template.Context, at: datetime | None) -> str:
    """A moment in the tenant's zone as `<time>`, to the second, with the exact one as its title."""
    if at is None:
        return GAP
    tenant = getattr(context.get("request"), "tenant", None)
    zone = tenant.time_zone if tenant else "UTC"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        display.moment_utc(at),
        display.moment_exact(at, zone),
        display.moment(at, zone),
    )


@register.simple_tag(takes_context=True)
def last_use(context: template.Context, thing: Any) -> str:
    """When a key, a project or a token was last used: to the minute, as it is kept, and never before it was made."""
    at = max(thing.last_used_at, thing.created_at)
    tenant = getattr(context.get("request"), "tenant", None)
    zone = tenant.time_zone if tenant else "UTC"
    words = display.moment_to_the_minute(at, zone)
    return format_html('<time datetime="{}" title="{}, {}">{}</time>', display.moment_utc(at), words, zone, words)


@register.filter
def sentence(text: str) -> str:
    """What a person wrote, with the full stop that a sentence ends with."""
    words = text.strip()
    return words if not words or words.endswith((".", "!", "?", "…")) else f"{words}."


@register.simple_tag
def cost(amount: int | Decimal | None, *, among: int | Decimal | None = None) -> str:
    """An amount of USD with every stored digit as its title; "unpriced" where there is none.

    `among` is the largest amount of the column, so that all of it is written alike.
    """
    if amount is None:
        return format_html('<span class="quiet">{}</span>', "unpriced")
    shown = display.usd(amount) if among is None else display.usd_among(amount, among)
    return format_html('<span title="{}">{}</span>', display.usd_exact(amount), shown)


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """A form field's control with the class that its kind of control has here."""
    widget = field.field.widget
    if isinstance(widget, CheckboxInput):
        return field.as_widget(attrs={"class": "form-check-input"})
    return field.as_widget(attrs={"class": "form-select" if isinstance(widget, Select) else "form-control"})


@register.inclusion_tag("components/meter.html")
def meter(
    used: int, limit: int, *, forecast: int = 0, time: Decimal | None = None, label: str = "", kind: str = ""
) -> dict[str, Any]:
    """A bar of what is used of a limit, with the forecast and the share of time gone; all amounts in one unit.

    More than the limit runs past the limit's mark. `kind` is "", "warn" or "bad"; `label` is what screen readers say.
    """
    scale = max(used, limit, min(forecast, 2 * limit), 1)
    return {
        "used_width": used * _WHOLE // scale,
        "forecast_width": min(forecast, scale) * _WHOLE // scale,
        "limit_x": limit * _WHOLE // scale,
        "time_x": int(time * limit * _WHOLE / scale) if time is not None else None,
        "label": label,
        "kind": kind,
    }
