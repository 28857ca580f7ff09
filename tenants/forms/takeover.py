"""The form of a list of keys to take over."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.conf import settings

from tenants.forms.lists import ListForm
from tenants.models import Project, Tenant


class TakeOverForm(ListForm):
    """Keys of another system, and what lines that say nothing of it belong to."""

    field_order = ("project", "env", "text", "file")
    formats = "CSV with a line of column names, or JSON lines. Never paste the keys themselves."
    example = "name,sha256,project,env\nBilling bot,9f86d081884c7d65…,Support,prod"

    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        label="Project",
        queryset=None,
        required=False,
        empty_label="Each line names its own",
        help_text="For lines that name none.",
    )
    env = forms.ChoiceField(label="Environment", required=False, help_text="For lines that name none.")

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        projects = Project.objects.filter(tenant=tenant).exclude(status=Project.Status.ARCHIVED).order_by("name")
        cast(forms.ModelChoiceField, self.fields["project"]).queryset = projects
        environments = [(name, name) for name in settings.SPENDOPS.environments]
        cast(forms.ChoiceField, self.fields["env"]).choices = [("", "Each line names its own"), *environments]
