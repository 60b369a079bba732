import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('bookings', '0005_first_holders'),
    ]

    operations = [
        migrations.AlterField(
            model_name='ticket',
            name='event',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='events.event'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='ticket',
            trigger=pgtrigger.compiler.Trigger(name='ticket_guard', sql=pgtrigger.compiler.UpsertTriggerSql(declare='DECLARE buyer uuid;', func="\n    IF TG_OP = 'INSERT' THEN\n        SELECT booking.event_id, event.requires_face_verification, booking.user_id INTO NEW.event_id, NEW.personal, buyer\n            FROM bookings_booking booking JOIN events_event event ON event.id = booking.event_id\n            WHERE booking.id = NEW.booking_id;\n        IF NOT NEW.personal AND NEW.holder_id IS NULL THEN\n            NEW.holder_id = buyer;\n        END IF;\n        RETURN NEW;\n    END IF;\n    IF (NEW.booking_id, NEW.event_id, NEW.personal, NEW.number)\n        IS DISTINCT FROM (OLD.booking_id, OLD.event_id, OLD.personal, OLD.number) THEN\n        RAISE EXCEPTION 'what a ticket is for never changes' USING ERRCODE = 'FS004';\n    END IF;\n    IF NEW.holder_id IS DISTINCT FROM OLD.holder_id AND (OLD.status IN ('used', 'void') OR NEW.code = OLD.code) THEN\n        RAISE EXCEPTION 'a ticket that was used or is void keeps its holder, and a new holder gets a new code'\n            USING ERRCODE = 'FS004';\n    END IF;\n    IF OLD.status = 'void' AND NEW.status <> 'void' THEN\n        RAISE EXCEPTION 'a void ticket stays void' USING ERRCODE = 'FS002';\n    END IF;\n    RETURN NEW;\n", hash='e9a5ca11d05e98cd6afecb218d63d0dce5132a54', operation='INSERT OR UPDATE', pgid='pgtrigger_ticket_guard_b8eb3', table='bookings_ticket', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='ticket',
            trigger=pgtrigger.compiler.Trigger(name='ticket_remembers', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.holder_id IS DISTINCT FROM NEW.holder_id)', func="\n    INSERT INTO bookings_ticketchange (ticket_id, from_holder_id, to_holder_id, from_status, to_status, at)\n        VALUES (NEW.id, OLD.holder_id, NEW.holder_id, OLD.status, NEW.status, now());\n    IF NEW.status IN ('used', 'void') THEN\n        UPDATE bookings_tickethandover SET status = 'ended', ended_at = now(), email = '', token_hash = ''\n            WHERE ticket_id = NEW.id AND status IN ('open', 'accepted');\n    END IF;\n    RETURN NULL;\n", hash='ebe381142a55c6e47fbe27d20d80808b7dfc6595', operation='UPDATE OF "status", "holder_id"', pgid='pgtrigger_ticket_remembers_95354', table='bookings_ticket', when='AFTER')),
        ),
        migrations.AddConstraint(
            model_name='ticket',
            constraint=models.UniqueConstraint(condition=models.Q(('personal', True), ('status__in', ['active', 'used'])), fields=('event', 'holder'), name='one_personal_ticket_per_holder_and_event'),
        ),
        migrations.AddConstraint(
            model_name='ticket',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['unassigned', 'active', 'used', 'void'])), name='ticket_status_is_known'),
        ),
        migrations.AddConstraint(
            model_name='ticket',
            constraint=models.CheckConstraint(condition=models.Q(('status', 'void'), models.Q(('holder__isnull', True), ('personal', True), ('status', 'unassigned')), models.Q(('holder__isnull', False), ('status__in', ['active', 'used'])), _connector='OR'), name='ticket_that_opens_a_door_has_a_holder'),
        ),
    ]
