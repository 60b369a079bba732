"""A category's limit per person holds for what the waitlist offers too; staff's gifts are bound by none."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0008_hold_with_code"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="booking",
            name="booking_guard",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="booking",
            trigger=pgtrigger.compiler.Trigger(
                name="booking_guard",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    declare="DECLARE allowed integer; taken integer; allowed_of_these integer; taken_of_these integer;",
                    func="\n    -- PL/pgSQL keeps a plan for the life of a connection: one made while a table was small must not scan it when it is large.\n    PERFORM set_config('enable_seqscan', 'off', true);\n    IF TG_OP = 'INSERT' THEN\n        IF NEW.status NOT IN ('pending', 'offered') THEN\n            RAISE EXCEPTION 'a booking can not begin as %', NEW.status USING ERRCODE = 'FS002';\n        END IF;\n    ELSE\n        IF (NEW.category_id, NEW.event_id, NEW.user_id, NEW.source, NEW.code_id, NEW.comp)\n            IS DISTINCT FROM (OLD.category_id, OLD.event_id, OLD.user_id, OLD.source, OLD.code_id, OLD.comp) THEN\n            RAISE EXCEPTION 'what a booking is for never changes' USING ERRCODE = 'FS004';\n        END IF;\n        IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (('confirmed', 'cancelled'), ('expired', 'confirmed'), ('offered', 'cancelled'), ('offered', 'expired'), ('offered', 'pending'), ('pending', 'cancelled'), ('pending', 'confirmed'), ('pending', 'expired')) THEN\n            RAISE EXCEPTION 'a booking can not go from % to %', OLD.status, NEW.status USING ERRCODE = 'FS002';\n        END IF;\n        IF NEW.quantity > OLD.quantity THEN\n            RAISE EXCEPTION 'a booking can not grow' USING ERRCODE = 'FS004';\n        END IF;\n    END IF;\n    IF NEW.status IN ('offered', 'pending', 'confirmed') AND (TG_OP = 'INSERT' OR OLD.status NOT IN ('offered', 'pending', 'confirmed')) THEN\n        -- One person's claims on one event are counted one after the other, whatever category or source they come from.\n        PERFORM pg_advisory_xact_lock(hashtextextended(NEW.user_id::text || NEW.event_id::text, 0));\n        SELECT event.max_tickets_per_booking, category.max_per_person, own.taken, own.taken_of_these\n            INTO allowed, allowed_of_these, taken, taken_of_these\n            FROM events_event event, events_ticketcategory category, (\n                SELECT coalesce(sum(quantity), 0) AS taken,\n                    coalesce(sum(quantity) FILTER (WHERE category_id = NEW.category_id), 0) AS taken_of_these\n                FROM bookings_booking\n                WHERE user_id = NEW.user_id AND event_id = NEW.event_id AND status IN ('offered', 'pending', 'confirmed') AND id <> NEW.id\n            ) own\n            WHERE event.id = NEW.event_id AND category.id = NEW.category_id;\n        IF taken + NEW.quantity > allowed AND NEW.source <> 'staff' THEN\n            RAISE EXCEPTION 'at most % tickets a person', allowed USING ERRCODE = 'FS003', DETAIL = (allowed - taken)::text;\n        END IF;\n        IF taken_of_these + NEW.quantity > allowed_of_these AND NEW.source <> 'staff' THEN\n            RAISE EXCEPTION 'at most % of these tickets a person', allowed_of_these\n                USING ERRCODE = 'FS003', DETAIL = (allowed_of_these - taken_of_these)::text;\n        END IF;\n    END IF;\n    IF TG_OP = 'UPDATE' AND NEW.status <> OLD.status AND NEW.status NOT IN ('offered', 'pending', 'confirmed') THEN\n        NEW.ended_at = coalesce(NEW.ended_at, now());\n    END IF;\n    RETURN NEW;\n",
                    hash="6a69eceda22b4faf2f879b8b1bcb3611dbb5238d",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_booking_guard_41fe5",
                    table="bookings_booking",
                    when="BEFORE",
                ),
            ),
        ),
    ]
