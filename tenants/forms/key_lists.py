"""Forms over many API keys: what a list is narrowed to, and what is done to all that are chosen."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings

from tenants.forms.base import ActionForm, end_of
from tenants.forms.keys import TIER_WORDS
from tenants.key_queries import KeyFilter, KeyOrder, KeyState, find_keys
from tenants.models import KeyBatch, Project, Tenant
from tenants.queries import users_in

STATES = (
    ("", "Any status"),
    (KeyState.ACTIVE, "Active"),
    (KeyState.EXPIRING, "Expires within 14 days"),
    (KeyState.EXPIRED, "Expired"),
    (KeyState.DISABLED, "Disabled"),
    (KeyState.REVOKED, "Revoked"),
    (KeyState.NEVER_USED, "Never used"),
    (KeyState.UNUSED, "Not used for 90 days"),
    (KeyState.ROTATION_DUE, "Rotation due: old pepper"),
)
ORDERS = (
    ("", "Newest first"),
    (KeyOrder.NAME, "Name"),
    (KeyOrder.USED, "Last used"),
    (KeyOrder.EXPIRY, "Next to expire"),
)


class KeyFilterForm(forms.Form):
    """What the list of keys is narrowed to, and its order.

    With a value that is not known the form has errors, and its `wanted` is not to be used: it would match too much.
    """

    search = True  # the filter bar then always has its button

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Name, id, last four, owner or tag"}),
    )
    status = forms.ChoiceField(label="Status", required=False, choices=STATES)
    env = forms.ChoiceField(label="Environment", required=False)
    project = forms.ChoiceField(label="Project", required=False)
    owner = forms.ChoiceField(label="Owner", required=False)
    tier = forms.ChoiceField(label="Tier", required=False, choices=[("", "Any tier"), *TIER_WORDS[1:]])
    sort = forms.ChoiceField(label="Order", required=False, choices=ORDERS)

    def __init__(self, *args: Any, tenant: Tenant, owner: str = "", **kwargs: Any) -> None:
        """With an `owner`, only that person's keys are seen."""
        super().__init__(*args, **kwargs)
        self._owner = owner
        environment = cast(forms.ChoiceField, self.fields["env"])
        environment.choices = [("", "Any environment"), *((name, name) for name in settings.SPENDOPS.environments)]
        projects = Project.objects.filter(tenant=tenant)
        self.owners: dict[str, str] = {}
        if owner:  # whoever sees own keys only need not know of other projects and people
            projects = projects.filter(id__in=find_keys(tenant, KeyFilter(owner=owner)).values("project_id"))
            del self.fields["owner"]
        else:
            self.owners = {each.pk: str(each) for each in users_in(tenant)}
            cast(forms.ChoiceField, self.fields["owner"]).choices = [("", "Anybody"), *self.owners.items()]
        names = projects.order_by("name").values_list("id", "name")
        cast(forms.ChoiceField, self.fields["project"]).choices = [("", "Any project"), *names]
        self.is_valid()

    @property
    def wanted(self) -> KeyFilter:
        """What the queries are told."""
        chosen = self.chosen
        return KeyFilter(
            text=chosen.get("q", ""),
            status=chosen.get("status", ""),
            env=chosen.get("env", ""),
            project=chosen.get("project", ""),
            owner=self._owner or chosen.get("owner", ""),
            tier=chosen.get("tier", ""),
        )

    @property
    def order(self) -> str:
        """One of `KeyOrder`, or "" for the usual one."""
        return self.chosen.get("sort", "")

    @property
    def chosen(self) -> dict[str, str]:
        """The known values that were chosen, by field: what an address needs to show the same."""
        given = getattr(self, "cleaned_data", {})
        return {name: str(given[name]) for name in self.fields if given.get(name)}

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out."""
        return bool(self.chosen.keys() - {"sort"})

    @property
    def summary(self) -> str:
        """What is shown, in words, for a phone's folded bar."""
        chosen = self.chosen
        words = [
            dict(cast(Any, self.fields[name]).choices).get(value, value)
            for name, value in chosen.items()
            if name not in ("q", "sort")
        ]
        text = [f"“{chosen['q']}”"] if "q" in chosen else []
        return ", ".join(text + [str(word) for word in words]) or "All keys"


_Action = KeyBatch.Action
_OF_ACTION = {
    _Action.REVOKE: ("number",),
    _Action.EXPIRY: ("expires_on",),
    _Action.ADD_TAG: ("tag_name", "tag_value"),
    _Action.REMOVE_TAG: ("tag_name",),
    _Action.OWNER: ("new_owner",),
}


class BatchForm(ActionForm):
    """What is done to all chosen keys. `digest` stands for exactly those that the page showed."""

    fields_of = {"expires_at": "expires_on", "name": "tag_name", "value": "tag_value", "owner": "new_owner"}

    digest = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    number = forms.CharField(
        error_messages={"required": "Type the number of keys, to show that you mean all of them."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )
    expires_on = forms.DateField(
        label="Works until",
        required=False,
        help_text="The end of this day in the tenant's time zone. Empty: the keys do not expire.",
        error_messages={"invalid": "Write a date like 2027-06-30."},
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    tag_name = forms.CharField(
        label="Tag",
        max_length=64,
        error_messages={"required": "Write the name of the tag."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "team"}),
    )
    tag_value = forms.CharField(
        label="Value",
        max_length=256,
        help_text="A key that has the tag already gets this value.",
        error_messages={"required": "Write the tag's value."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "search"}),
    )
    new_owner = forms.ChoiceField(label="New owner", required=False)

    def __init__(self, *args: Any, tenant: Tenant, action: str, total: int, digest: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["digest"].initial = digest
        self._zone, self._total = ZoneInfo(tenant.time_zone), total
        wanted = _OF_ACTION.get(_Action(action), ())
        for name in [each for each in self.fields if each not in (*wanted, "digest")]:
            del self.fields[name]
        if "number" in self.fields:
            self.fields["number"].label = f"Type {total} to revoke all of them"
        if "new_owner" in self.fields:
            owners = ((each.pk, str(each)) for each in users_in(tenant))
            cast(forms.ChoiceField, self.fields["new_owner"]).choices = [("", "Nobody in particular"), *owners]

    def clean_number(self) -> str:
        typed = str(self.cleaned_data["number"]).strip().replace(",", "")
        if typed != str(self._total):
            raise forms.ValidationError(f"That is not how many keys are chosen. Type {self._total}.")
        return typed

    def arguments(self) -> dict[str, Any]:
        """What the batch is begun with."""
        given = self.cleaned_data
        if "expires_on" in given:
            day = given["expires_on"]
            return {"expires_at": end_of(day, self._zone).isoformat() if day else None}
        names = {"tag_name": "name", "tag_value": "value", "new_owner": "owner"}
        return {argument: given[name] for name, argument in names.items() if name in given}
