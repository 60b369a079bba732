"""A wish: several categories, all together or any number; and what an entry remembers of its offers."""

import django.contrib.postgres.fields
import django.db.models.functions.datetime
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('bookings', '0003_waitlist_claims'),
        ('waitlist', '0001_entries'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='waitlistentry',
            name='waitlist_counts',
        ),
        migrations.AddField(
            model_name='waitlistentry',
            name='all_together',
            field=models.BooleanField(db_default=False, default=False, help_text='Offer all seats at once or none; otherwise any number of them.'),
        ),
        migrations.AddField(
            model_name='waitlistentry',
            name='aside_for',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=20),
        ),
        migrations.AddField(
            model_name='waitlistentry',
            name='aside_since',
            field=models.DateTimeField(blank=True, editable=False, help_text='Since when it keeps no seats from the public.', null=True),
        ),
        migrations.AddField(
            model_name='waitlistentry',
            name='category_ids',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), blank=True, default=list, help_text='The categories that will do; empty: any of the event.', size=None),
        ),
        migrations.AddField(
            model_name='waitlistentry',
            name='kept_since',
            field=models.DateTimeField(blank=True, editable=False, help_text='Since when free seats, too few of them, are kept for it.', null=True),
        ),
        migrations.AddField(
            model_name='waitlistentry',
            name='lapses',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, editable=False, help_text='How many offers were left unanswered or unpaid.'),
        ),
        migrations.AddField(
            model_name='waitlistentry',
            name='unpaid',
            field=models.BooleanField(db_default=False, default=False, editable=False, help_text='What was accepted last is held and not paid yet.'),
        ),
        migrations.AddField(
            model_name='waitlistentry',
            name='waiting_since',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, help_text='Since when it waits as it is; the database writes it.'),
        ),
        migrations.AddField(
            model_name='waitlistentry',
            name='went_back_for',
            field=models.UUIDField(blank=True, editable=False, help_text='The accepted booking that was not paid for and sent it back.', null=True),
        ),
        migrations.AlterField(
            model_name='waitlistentry',
            name='quantity',
            field=models.PositiveSmallIntegerField(default=1, help_text='How many seats are still wanted.'),
        ),
    ]
