"""The audit trail's words for compared invoices."""

from __future__ import annotations

from collections.abc import Collection

from changes.trail import Names, Noun, register
from spend.models import InvoiceComparison


def _names(ids: Collection[str]) -> Names:
    return dict(InvoiceComparison.objects.filter(pk__in=ids).values_list("pk", "file_name"))


register(
    nouns={"invoice": Noun("Invoice", _names)},
    sentences={"invoice.compared": "{actor} compared the invoice {target} of {after[provider]} with our sums"},
)
