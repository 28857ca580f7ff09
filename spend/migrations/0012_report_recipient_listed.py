from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("spend", "0011_saved_views")]

    operations = [
        migrations.AddField(
            model_name="reportrecipient",
            name="listed",
            field=models.BooleanField(default=True),
        ),
    ]
