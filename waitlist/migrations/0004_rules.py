"""The rules of entries and the record of those who were passed over."""

import django.db.models.deletion
import django.db.models.functions.datetime
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0003_deleted_events'),
        ('waitlist', '0003_copy_categories'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='waitlistentry',
            name='category',
        ),
        migrations.CreateModel(
            name='WaitlistSkip',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(choices=[('too_few_together', 'Too Few Together'), ('ticket_limit', 'Ticket Limit'), ('account_inactive', 'Account Inactive'), ('has_a_claim', 'Has A Claim'), ('not_eligible', 'Not Eligible'), ('category_closed', 'Category Closed'), ('staff_choice', 'Staff Choice')], max_length=20)),
                ('wanted', models.PositiveSmallIntegerField(help_text='How many seats the entry wanted.')),
                ('free', models.PositiveIntegerField(help_text='How many of the category were free.')),
                ('times', models.PositiveIntegerField(db_default=1, default=1)),
                ('first_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='The last time.')),
            ],
            options={
                'ordering': ['-at', '-id'],
            },
        ),
        migrations.AddIndex(
            model_name='waitlistentry',
            index=models.Index(condition=models.Q(('status', 'waiting')), fields=['event', 'joined_at', 'id'], name='waitlist_waiting'),
        ),
        migrations.AddIndex(
            model_name='waitlistentry',
            index=models.Index(condition=models.Q(('status', 'offered')), fields=['offer_expires_at'], name='waitlist_offered'),
        ),
        migrations.AddIndex(
            model_name='waitlistentry',
            index=models.Index(condition=models.Q(('unpaid', True)), fields=['booking'], name='waitlist_unpaid'),
        ),
        migrations.AddIndex(
            model_name='waitlistentry',
            index=models.Index(condition=models.Q(('status', 'waiting'), ('went_back_for__isnull', False)), fields=['went_back_for'], name='waitlist_went_back'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='waitlistentry',
            trigger=pgtrigger.compiler.Trigger(name='waitlist_guard', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n    IF TG_OP = 'UPDATE' AND (NEW.event_id, NEW.user_id) IS DISTINCT FROM (OLD.event_id, OLD.user_id) THEN\n        RAISE EXCEPTION 'whom and what an entry is for never changes' USING ERRCODE = 'FS004';\n    END IF;\n    IF NEW.status = 'waiting' AND (TG_OP = 'INSERT'\n        OR (NEW.status, NEW.category_ids, NEW.quantity, NEW.all_together, NEW.eligible, NEW.joined_at)\n        IS DISTINCT FROM (OLD.status, OLD.category_ids, OLD.quantity, OLD.all_together, OLD.eligible, OLD.joined_at)) THEN\n        NEW.waiting_since = clock_timestamp();\n        NEW.kept_since = NULL;\n    END IF;\n    IF TG_OP = 'UPDATE' AND (NEW.category_ids, NEW.quantity, NEW.all_together)\n        IS DISTINCT FROM (OLD.category_ids, OLD.quantity, OLD.all_together) THEN\n        NEW.aside_since = NULL; NEW.aside_for = '';\n    END IF;\n    IF NEW.status <> 'waiting' THEN\n        NEW.aside_since = NULL; NEW.aside_for = ''; NEW.kept_since = NULL;\n    END IF;\n    RETURN NEW;\n", hash='3780dee8adc939949a7962fa730b932472a3a772', operation='INSERT OR UPDATE', pgid='pgtrigger_waitlist_guard_086b5', table='waitlist_waitlistentry', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='waitlistentry',
            trigger=pgtrigger.compiler.Trigger(name='waitlist_counts', sql=pgtrigger.compiler.UpsertTriggerSql(declare="DECLARE before integer := 0; after integer := 0; event uuid; old_ids uuid[] := '{}'; new_ids uuid[] := '{}';", func="\n    IF TG_OP <> 'INSERT' THEN\n        event = OLD.event_id; old_ids = OLD.category_ids;\n        IF OLD.status = 'waiting' AND OLD.eligible AND OLD.aside_since IS NULL THEN before = OLD.quantity; END IF;\n    END IF;\n    IF TG_OP <> 'DELETE' THEN\n        event = NEW.event_id; new_ids = NEW.category_ids;\n        IF NEW.status = 'waiting' AND NEW.eligible AND NEW.aside_since IS NULL THEN after = NEW.quantity; END IF;\n    END IF;\n    IF before = 0 AND after = 0 OR before = after AND old_ids = new_ids THEN\n        RETURN NULL;\n    END IF;\n    -- A category that is being added to this event counts those who take any; it waits for this row, or this row for it.\n    PERFORM pg_advisory_xact_lock_shared(hashtextextended('categories' || event::text, 0));\n    -- Inventory rows are locked in the order of their categories, here as everywhere.\n    PERFORM 1 FROM events_seatinventory inventory JOIN events_ticketcategory known ON known.id = inventory.category_id\n        WHERE known.event_id = event\n        AND (before > 0 AND (cardinality(old_ids) = 0 OR known.id = ANY (old_ids))\n            OR after > 0 AND (cardinality(new_ids) = 0 OR known.id = ANY (new_ids)))\n        ORDER BY inventory.category_id FOR NO KEY UPDATE OF inventory;\n    UPDATE events_seatinventory inventory SET waiting = waiting\n        + CASE WHEN after > 0 AND (cardinality(new_ids) = 0 OR known.id = ANY (new_ids)) THEN after ELSE 0 END\n        - CASE WHEN before > 0 AND (cardinality(old_ids) = 0 OR known.id = ANY (old_ids)) THEN before ELSE 0 END\n        FROM events_ticketcategory known\n        WHERE known.id = inventory.category_id AND known.event_id = event\n        AND (before > 0 AND (cardinality(old_ids) = 0 OR known.id = ANY (old_ids)))::integer * before\n            <> (after > 0 AND (cardinality(new_ids) = 0 OR known.id = ANY (new_ids)))::integer * after;\n    RETURN NULL;\n", hash='e7c278cef945d3cb70c4cd4d6f4d7874d47798e2', operation='INSERT OR UPDATE OR DELETE', pgid='pgtrigger_waitlist_counts_d17c5', table='waitlist_waitlistentry', when='AFTER')),
        ),
        migrations.AddConstraint(
            model_name='waitlistentry',
            constraint=models.CheckConstraint(condition=models.Q(('unpaid', False), ('status__in', ['waiting', 'accepted']), _connector='OR'), name='unpaid_waitlist_entry_was_accepted'),
        ),
        migrations.AddConstraint(
            model_name='waitlistentry',
            constraint=models.CheckConstraint(condition=models.Q(('aside_since__isnull', True), ('status', 'waiting'), _connector='OR'), name='only_waiting_entry_is_aside'),
        ),
        migrations.AddField(
            model_name='waitlistskip',
            name='category',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='events.ticketcategory'),
        ),
        migrations.AddField(
            model_name='waitlistskip',
            name='entry',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='skips', to='waitlist.waitlistentry'),
        ),
        migrations.AddConstraint(
            model_name='waitlistskip',
            constraint=models.UniqueConstraint(fields=('entry', 'reason'), name='one_skip_per_entry_and_reason'),
        ),
        migrations.AddConstraint(
            model_name='waitlistskip',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['too_few_together', 'ticket_limit', 'account_inactive', 'has_a_claim', 'not_eligible', 'category_closed', 'staff_choice'])), name='waitlist_skip_reason_is_known'),
        ),
    ]
