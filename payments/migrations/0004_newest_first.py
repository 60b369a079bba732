"""The list of payments, newest first, from an index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built beside the sale, which goes on

    dependencies = [("payments", "0003_returns_are_checked")]

    operations = [
        AddIndexConcurrently(model_name="payment", index=models.Index(fields=["-created_at", "id"], name="payment_newest")),
    ]
