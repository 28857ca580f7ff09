"""The form of a project."""

from __future__ import annotations

from tenants.forms.base import ActionForm, name_field


class ProjectForm(ActionForm):
    """A project's name."""

    name = name_field("Name", "Spend is grouped by project. Example: Support assistant.")
