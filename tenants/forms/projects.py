"""Forms of projects."""

from __future__ import annotations

from typing import Any

from django import forms

from tenants.forms.base import ActionForm, name_field
from tenants.forms.editing import EditForm
from tenants.forms.tags import TagsField
from tenants.models import Project
from tenants.rules import QUOTA_MOST
from tenants.tags import text_of_tags


class ProjectForm(ActionForm):
    """What a project is called, its tags, and how many keys it may have."""

    name = name_field("Name", "Spend is grouped by project. Example: Support assistant.", "Support assistant")
    keys_most = forms.IntegerField(
        label="Keys at most",
        required=False,
        min_value=0,
        max_value=QUOTA_MOST,
        help_text="How many keys may exist at the same time. Empty: as many as the tenant may have.",
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
    tags = TagsField()


class ProjectEditForm(EditForm, ProjectForm):
    """The same for a project that is there."""


def initial_of_project(project: Project) -> dict[str, Any]:
    """What the form of a project begins with."""
    return {
        "name": project.name,
        "keys_most": project.keys_most,
        "tags": text_of_tags(project.tags),
        "version": project.version,
    }


class ProjectFilterForm(forms.Form):
    """What the list of projects is narrowed to. A value that is not known narrows nothing."""

    search = True  # the bar has a button to send what is typed

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Name or id"}),
    )
    status = forms.ChoiceField(
        label="Status",
        required=False,
        choices=[("", "Not archived"), *((each.value, each.label) for each in Project.Status), ("all", "Any status")],
    )
