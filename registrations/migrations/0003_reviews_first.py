"""The list of registrations, those that ask for a review first, from an index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built beside the sale, which goes on

    dependencies = [("registrations", "0002_verified_holders")]

    operations = [
        AddIndexConcurrently(model_name="registration", index=models.Index(fields=["-review_requested_at", "-created_at", "id"], name="registration_review")),
    ]
