"""Addresses of the pricing pages."""

from __future__ import annotations

import re

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from pricing.views import by_hand, catalogue, compare, crosscheck, model, overrides, rates, selections, syncs

app_name = "pricing"

_pages = [
    path("pricing", catalogue.catalogue, name="catalogue"),
    path("pricing/report", catalogue.report, name="report"),
    path("pricing/compare", compare.page, name="compare"),
    path("pricing/describe/<str:provider>/<path:model>", model.describe, name="describe"),
    path("pricing/syncs", syncs.index, name="syncs"),
    path("pricing/syncs/<int:sync_id>", syncs.one, name="sync"),
    path("pricing/syncs/<int:sync_id>/approve", syncs.approve, name="sync_approve"),
    path("pricing/syncs/<int:sync_id>/reject", syncs.reject, name="sync_reject"),
    path("pricing/by-hand", by_hand.index, name="hand_prices"),
    path("pricing/by-hand/new", by_hand.new, name="new_price"),
    path("pricing/by-hand/table", by_hand.table, name="hand_table"),
    path("pricing/by-hand/table/check", by_hand.check_table, name="hand_table_check"),
    path("pricing/by-hand/<int:hand_price_id>/change", by_hand.change, name="hand_price_change"),
    path("pricing/by-hand/<int:hand_price_id>/end", by_hand.end, name="hand_price_end"),
    path("pricing/cross-check", crosscheck.page, name="cross_check"),
    path("pricing/rates", rates.page, name="rates"),
    path("pricing/overrides", overrides.index, name="overrides"),
    path("pricing/overrides/new", overrides.new, name="override_new"),
    path("pricing/overrides/history", overrides.history, name="override_history"),
    path("pricing/overrides/list", overrides.upload, name="override_upload"),
    path("pricing/overrides/list/save", overrides.upload_save, name="override_upload_save"),
    path("pricing/overrides/<str:override_id>", overrides.one, name="override"),
    path("pricing/overrides/<str:override_id>/edit", overrides.edit, name="override_edit"),
    path("pricing/overrides/<str:override_id>/archive", overrides.archive, name="override_archive"),
    path("models/selection", selections.index, name="selections"),
    path("models/selection/choose", selections.choose, name="selection_choose"),
    path("models/selection/save", selections.save, name="selection_save"),
    path("models/selection/clear", selections.clear, name="selection_clear"),
    path("pricing/models/<str:provider>/<path:model>", model.model, name="model"),
]
_taken = {str(each.pattern).split("/")[1] for each in _pages if str(each.pattern).startswith("pricing/")}


class OtherProvider(StringConverter):
    """A provider that bears no page's name. The models of one that does are at pricing/models/…, and links say so."""

    regex = rf"(?!(?:{'|'.join(map(re.escape, sorted(_taken)))})/)[^/]+"


register_converter(OtherProvider, "other_provider")

urlpatterns = [
    *_pages,
    path("pricing/<other_provider:provider>/<path:model>", model.model, name="model"),  # the last: whatever is left
]
