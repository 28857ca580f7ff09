import django.db.models.deletion
from django.db import migrations, models

import spend.models.reconciling


class Migration(migrations.Migration):
    dependencies = [
        ("spend", "0009_reports"),
        ("tenants", "0006_changes_of_many_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="InvoiceComparison",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=spend.models.reconciling.new_comparison_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("kind", models.CharField(max_length=32)),
                ("provider", models.CharField(max_length=64)),
                ("file_name", models.CharField(max_length=200)),
                ("digest", models.CharField(max_length=64)),
                ("usage_file", models.CharField(blank=True, max_length=200)),
                ("tolerance", models.BigIntegerField()),
                ("first", models.DateField()),
                ("last", models.DateField()),
                ("rows", models.JSONField(default=list)),
                ("totals", models.JSONField(default=dict)),
                ("errors", models.JSONField(default=list)),
                ("refused", models.PositiveIntegerField(default=0)),
                ("created_by", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["tenant", "-created_at"], name="invoice_recent")],
            },
        ),
    ]
