"""The list of bookings, newest first, from an index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built beside the sale, which goes on

    dependencies = [("bookings", "0011_three_decimals")]

    operations = [
        AddIndexConcurrently(model_name="booking", index=models.Index(fields=["-created_at", "id"], name="booking_newest")),
    ]
