"""Reads about tenants and projects as things to look after: lists, searched and narrowed."""

from __future__ import annotations

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from tenants.models import Project, Tenant

EVERY_STATUS = "all"


def find_projects(tenant: Tenant, *, text: str = "", status: str = "") -> QuerySet[Project]:
    """A tenant's projects by name: those of one status, with "all" every one, and else those that are not archived.

    `text` is part of a name, or the start of an id.
    """
    projects: QuerySet[Project] = Project.objects.filter(tenant=tenant)
    if status in Project.Status.values:
        projects = projects.filter(status=status)
    elif status != EVERY_STATUS:
        projects = projects.exclude(status=Project.Status.ARCHIVED)
    if text:
        projects = projects.filter(Q(name__icontains=text) | Q(id__startswith=text))
    return projects.order_by("name", "id")


def find_tenants(*, text: str = "", status: str = "") -> QuerySet[Tenant]:
    """The tenants of the installation by name, each with `projects`: how many are not archived.

    `text` is part of a name, or the start of an id. Read it across tenants: it counts what is in them.
    """
    living = Project.objects.filter(tenant=OuterRef("pk")).exclude(status=Project.Status.ARCHIVED)
    number = living.order_by().values("tenant").annotate(number=Count("id")).values("number")
    tenants = Tenant.objects.annotate(projects=Coalesce(Subquery(number), 0))
    if text:
        tenants = tenants.filter(Q(name__icontains=text) | Q(id__startswith=text))
    if status in Tenant.Status.values:
        tenants = tenants.filter(status=status)
    return tenants.order_by("name", "id")


def living_projects(tenant: Tenant) -> int:
    """How many of a tenant's projects are not archived."""
    return Project.objects.filter(tenant=tenant).exclude(status=Project.Status.ARCHIVED).count()
