"""The list of scans, newest first, from an index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built beside the sale, which goes on

    dependencies = [("gate", "0003_retire_codes")]

    operations = [
        AddIndexConcurrently(model_name="scan", index=models.Index(fields=["-at", "-id"], name="scan_newest")),
    ]
