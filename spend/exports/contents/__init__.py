"""What each kind of export holds."""

from __future__ import annotations

from spend.exports.columns import Content
from spend.exports.wanted import FOCUS, Kind, Wanted
from tenants.models import Tenant


def content_of(tenant: Tenant, wanted: Wanted) -> Content:
    """The rows of an export."""
    if wanted.kind in FOCUS:
        from spend.exports.contents.focus import FocusRows

        return FocusRows(tenant, wanted)
    from spend.exports.contents.events import DenialRows, UsageRows
    from spend.exports.contents.spend import SpendRows

    if wanted.kind is Kind.SPEND:
        return SpendRows(tenant, wanted)
    return UsageRows(tenant, wanted) if wanted.kind is Kind.USAGE else DenialRows(tenant, wanted)
