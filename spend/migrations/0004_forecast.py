import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("spend", "0003_rerating_sums"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Forecast",
            fields=[
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="tenants.tenant",
                    ),
                ),
                ("first", models.DateField()),
                ("method", models.CharField(max_length=16)),
                ("history_days", models.PositiveIntegerField()),
                ("daily", models.JSONField()),
                ("low", models.JSONField()),
                ("mid", models.JSONField()),
                ("high", models.JSONField()),
                ("check_then", models.JSONField(null=True)),
                ("digest", models.CharField(max_length=64)),
                ("made_at", models.DateTimeField(auto_now=True)),
            ],
        ),
    ]
