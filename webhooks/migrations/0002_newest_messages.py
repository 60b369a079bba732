from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("webhooks", "0001_endpoints")]

    operations = [
        AddIndexConcurrently(
            model_name="webhookmessage",
            index=models.Index(fields=["-created_at"], name="webhook_message_newest"),
        ),
    ]
