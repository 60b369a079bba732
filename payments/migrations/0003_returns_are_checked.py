"""Looks through the payments there are, in a transaction of its own: nobody waits for it."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("payments", "0002_returns_and_comparisons")]

    operations = [
        ValidateConstraint("payment", "what_is_kept_is_not_refunded"),
        ValidateConstraint("payment", "never_release_more_than_received"),
    ]
