"""Keys that were issued before quotas were counted."""

from django.db import migrations
from django.db.models import Count

from tenants.scope import across_tenants


def count(apps, schema_editor):
    key, project, tenant = (apps.get_model("tenants", name) for name in ("ApiKey", "Project", "Tenant"))
    with across_tenants("every tenant's keys are counted"):
        living = key.objects.exclude(status="revoked")
        for row in living.order_by().values("project_id").annotate(number=Count("id")):
            project.objects.filter(pk=row["project_id"]).update(keys_living=row["number"])
        for row in living.order_by().values("tenant_id").annotate(number=Count("id")):
            tenant.objects.filter(pk=row["tenant_id"]).update(keys_living=row["number"])


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_key_policy_and_quotas")]
    operations = [migrations.RunPython(count, migrations.RunPython.noop)]
