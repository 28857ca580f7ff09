import django.db.models.deletion
from django.db import migrations, models

import spend.models.export


class Migration(migrations.Migration):
    dependencies = [
        ("spend", "0004_forecast"),
        ("tenants", "0006_changes_of_many_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="Export",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=spend.models.export.new_export_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("spend", "Spend"),
                            ("usage", "Usage events"),
                            ("denials", "Denials"),
                            ("focus-1.2", "FOCUS 1.2"),
                            ("focus-1.4", "FOCUS 1.4"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "format",
                    models.CharField(
                        choices=[("csv", "CSV"), ("xlsx", "Excel (XLSX)"), ("parquet", "Parquet")], max_length=8
                    ),
                ),
                ("query", models.TextField()),
                ("require_complete", models.BooleanField(default=False)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("expired", "Expired"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("rows", models.PositiveBigIntegerField(default=0)),
                ("total", models.PositiveBigIntegerField(null=True)),
                ("days_done", models.PositiveIntegerField(default=0)),
                ("days", models.PositiveIntegerField(default=0)),
                ("bytes", models.PositiveBigIntegerField(default=0)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("complete_until", models.DateTimeField(null=True)),
                ("partial", models.JSONField(default=list)),
                ("manifest", models.JSONField(default=dict)),
                ("file", models.CharField(blank=True, max_length=80)),
                ("error", models.TextField(blank=True)),
                ("created_by", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("claim", models.CharField(blank=True, max_length=32)),
                ("claimed_until", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant", "-created_at"], name="export_recent"),
                    models.Index(fields=["status", "claimed_until"], name="export_by_status"),
                ],
            },
        ),
    ]
