"""The filters of the ledger. They come by GET, so that an address is a view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django import forms

from publishing.queries.writes import SHARED, Narrowed
from publishing.subjects import About, documents_named
from tenants.audit_forms import TrailForm
from tenants.models import Tenant

_SHARED_CHOICE = "shared"


class WritesForm(TrailForm):
    """What the ledger is narrowed to. Who sees one tenant's documents sees those that all share with them."""

    env = forms.ChoiceField(label="Environment", required=False)
    about = forms.ChoiceField(
        label="Documents of",
        required=False,
        choices=[("", "Everything"), *((each.value, each.label) for each in About)],
    )

    field_order = ("period", "first", "last", "env", "about", "who", "search", "tenant")

    def __init__(self, data: Any, *, tenant: Tenant, tenants: Sequence[Tenant] | None, envs: Sequence[str]) -> None:
        """`tenants` are those to choose from, None for who sees the given one only."""
        beyond = [
            ("", "Every tenant"),
            (_SHARED_CHOICE, "Shared by all"),
            *((each.id, each.name) for each in tenants or ()),
        ]
        super().__init__(data, tenant=tenant, tenants=[] if tenants is None else beyond)
        self._everything = tenants is not None
        cast(forms.ChoiceField, self.fields["env"]).choices = [("", "All"), *((env, env) for env in envs)]
        self.fields["search"].widget.attrs["placeholder"] = "Key or tenant, by name or id"

    @property
    def seen_by(self) -> tuple[str, ...] | None:
        """The tenants whose documents the reader may see at all; None for every tenant's."""
        return None if self._everything else (self._tenant.id, SHARED)

    def wanted(self) -> Narrowed:
        """What the ledger is asked for. Names are looked up as far as the open tenant scope allows."""
        since, until = self.times()
        about, text = self.value_of("about"), self.value_of("search").strip()
        tenants = Tenant.objects.all() if self._everything else Tenant.objects.filter(pk=self._tenant.pk)
        return Narrowed(
            tenants=self._tenants(),
            env=self.value_of("env"),
            about=About(about) if about else None,
            documents=documents_named(text, tenants=tenants) if text else None,
            actors=self.people(),
            since=since,
            until=until,
        )

    def _tenants(self) -> tuple[str, ...] | None:
        chosen = self.value_of("tenant")
        if not chosen:
            return self.seen_by
        return (SHARED,) if chosen == _SHARED_CHOICE else (chosen,)
