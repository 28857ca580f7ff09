"""`{% icon "key" %}` writes one of the vendored outline icons into the page, hidden from screen readers."""

from __future__ import annotations

import re
from functools import cache

from django import template
from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

_FOLDER = settings.BASE_DIR / "static" / "vendor" / "tabler-icons"
_SVG_OPEN = re.compile(r"^<svg.*?>", re.DOTALL)
_OURS = (
    '<svg class="icon" width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" '
    'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">'
)


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """The icon of this name in static/vendor/tabler-icons. Raises FileNotFoundError when there is none."""
    svg = (_FOLDER / f"{name}.svg").read_text(encoding="utf-8").strip()
    compact = " ".join(_SVG_OPEN.sub(_OURS, svg).split())
    return mark_safe(compact)  # noqa: S308 - a file of ours, no input
