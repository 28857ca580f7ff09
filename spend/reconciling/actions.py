"""Comparing a provider's invoice with our sums."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from django.db import transaction

from changes.actor import Actor
from changes.record import record
from spend.importing.reading import FileError
from spend.importing.settling import newest_pricing
from spend.models import InvoiceComparison
from spend.queries.price_versions import price_versions
from spend.queries.slices import Each, Slice, cells
from spend.reconciling.classify import Row, classify, totals
from spend.reconciling.invoices import KINDS, PAGE_MOST, USAGE_KINDS, Read, read_invoice, read_tokens
from tenants.errors import InvalidSettingError
from tenants.models import Tenant
from tenants.scope import tenant_scope
from wire.money import MICRO, PICO_PER_MICRO, MoneyError, micro_from_text

ERRORS_KEPT = 1_000
DAYS_MOST = 400
ROWS_MOST = 20_000  # days and models: what a page can still show
TOLERANCE = "0.01"
_MOST_TOLERANCE = 1_000 * MICRO
_NAME_LONGEST = 200


def compare_invoice(
    *,
    tenant: Tenant,
    kind: str,
    file_name: str,
    pieces: Iterable[bytes],
    provider: str = "",
    tolerance: str = TOLERANCE,
    usage_kind: str = "",
    usage_name: str = "",
    usage_pieces: Iterable[bytes] = (),
    by: Actor,
) -> InvoiceComparison:
    """Set an invoice beside our sums of the same UTC days, and keep what was found.

    `tolerance` is in USD, of a day and model. `usage_pieces` is the provider's usage report of the same days, by which
    it is known what bypassed us and what is mispriced. Raises RefusedError with the field at fault, UnavailableError.
    """
    if kind not in KINDS:
        raise InvalidSettingError(f"There is no kind of invoice {kind[:40]!r}: {', '.join(KINDS)}.", field="kind")
    provider = KINDS[kind].provider or provider.strip().lower()
    if not provider or len(provider) > 64 or "\x00" in provider:
        raise InvalidSettingError("Say whose invoice it is, such as openai.", field="provider")
    if usage_kind and usage_kind not in USAGE_KINDS:
        raise InvalidSettingError(f"A usage report is one of {', '.join(USAGE_KINDS)}.", field="usage_kind")
    bound = _tolerance(tolerance)
    body = _bounded(pieces, "file")
    try:
        invoice = read_invoice([body], KINDS[kind])
    except FileError as error:
        raise InvalidSettingError(str(error), field="file") from error
    tokens: dict[tuple[date, str], int] | None = None
    if usage_kind:
        try:
            tokens = read_tokens([_bounded(usage_pieces, "usage_file")], usage_kind)
        except FileError as error:
            raise InvalidSettingError(str(error), field="usage_file") from error
    first, last = min(line.day for line in invoice.lines), max(line.day for line in invoice.lines)
    if (last - first).days >= DAYS_MOST:
        raise InvalidSettingError(
            f"The invoice is about more than {DAYS_MOST} days: compare it in parts.", field="file"
        )
    with tenant_scope(tenant.id):
        rows = classify(_both_sides(tenant.id, provider, invoice, tokens, first, last), tolerance=bound)
        sums = totals(rows)
        with transaction.atomic():
            made = InvoiceComparison.objects.create(
                tenant=tenant,
                kind=kind,
                provider=provider,
                file_name=_plain(file_name) or "invoice",
                digest=hashlib.sha256(body).hexdigest(),
                usage_file=_plain(usage_name) if usage_kind else "",
                tolerance=bound,
                first=first,
                last=last,
                rows=[row.stored() for row in rows],
                totals={name: str(amount) for name, amount in sums.items()},
                errors=[[place.line, place.path, why] for place, why in invoice.faults[:ERRORS_KEPT]],
                refused=len(invoice.faults),
                created_by=by.id,
            )
            record(
                "invoice.compared",
                by=by,
                tenant=tenant.id,
                target_kind="invoice",
                target_id=made.pk,
                after={"provider": provider, "first_day": first.isoformat(), "last_day": last.isoformat()},
            )
    return made


def _both_sides(
    tenant_id: str,
    provider: str,
    invoice: Read,
    tokens: dict[tuple[date, str], int] | None,
    first: date,
    last: date,
) -> Iterable[Row]:
    naming = newest_pricing(tenant_id)
    rows: dict[tuple[date, str], Row] = {}

    def row(day: date, model: str) -> Row:
        name = naming.named(provider, model)
        if (day, name) not in rows and len(rows) >= ROWS_MOST:
            raise InvalidSettingError(
                f"These are more than {ROWS_MOST:,} days and models: compare the invoice in parts.", field="file"
            )
        return rows.setdefault((day, name), Row(day, name))

    said: dict[tuple[date, str], int] = defaultdict(int)
    for line in invoice.lines:
        found = row(line.day, line.model)
        if line.credit:
            found.credit += line.amount
        else:
            found.theirs += line.amount
        if line.tokens is not None:
            said[line.day, found.model] += line.tokens
    for (day, model), count in (tokens or {}).items():
        if first <= day <= last:
            said[day, row(day, model).model] += count
    for (day, model), count in said.items():
        rows[day, model].their_tokens = count
    of = Slice(first, last, zone="UTC", only={"provider": [provider]})
    for cell in cells(tenant_id, of, by=["model"], each=Each.DAY, purpose="reconcile an invoice"):
        found = row(cell.begin, cell.groups[0])
        found.ours += int(cell.cost.scaleb(12))
        found.our_tokens += cell.input_tokens + cell.output_tokens
        found.our_requests += cell.requests
    for (day, model), version in price_versions(tenant_id, first, last, provider=provider).items():
        found = row(day, model)
        found.price_version = max(found.price_version, version)
    return rows.values()


def _plain(file_name: str) -> str:
    """A file's name without folders, and without what no database keeps."""
    return file_name.rpartition("/")[2].replace("\x00", "").strip()[:_NAME_LONGEST]


def _tolerance(text: str) -> int:
    try:
        micro = micro_from_text(text)
    except MoneyError as error:
        raise InvalidSettingError(str(error), field="tolerance") from error
    if micro > _MOST_TOLERANCE:
        raise InvalidSettingError("A tolerance above $1,000 would explain everything away.", field="tolerance")
    return micro * PICO_PER_MICRO


def _bounded(pieces: Iterable[bytes], field: str) -> bytes:
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) > PAGE_MOST:
            raise InvalidSettingError("The file is larger than 20 MB: compare it in parts.", field=field)
    if not held:
        raise InvalidSettingError("The file is empty.", field=field)
    return bytes(held)
