"""An index of gifts alone, so that an event's are counted in the same time however much it sells."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("bookings", "0009_limits_hold_for_offers")]

    operations = [
        AddIndexConcurrently(
            model_name="booking",
            index=models.Index(condition=models.Q(("comp", True)), fields=["event"], name="booking_given_away"),
        ),
    ]
