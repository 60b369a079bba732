"""What the database itself sees to: a ticket of an event that checks faces opens the door for a verified person only."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION ticket_needs_verified_holder() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM registrations_registration registration
        WHERE registration.user_id = NEW.holder_id AND registration.event_id = NEW.event_id
            AND registration.status = 'verified'
    ) THEN
        RAISE EXCEPTION 'the holder of a personal ticket was not verified' USING ERRCODE = 'FS006';
    END IF;
    RETURN NULL;
END
$body$;
CREATE TRIGGER ticket_needs_verified_holder AFTER INSERT OR UPDATE OF holder_id, status ON bookings_ticket
    FOR EACH ROW WHEN (NEW.personal AND NEW.status IN ('active', 'used'))
    EXECUTE FUNCTION ticket_needs_verified_holder();
"""
BACKWARD = """
DROP TRIGGER ticket_needs_verified_holder ON bookings_ticket;
DROP FUNCTION ticket_needs_verified_holder();
"""


class Migration(migrations.Migration):
    dependencies = [("registrations", "0001_registrations"), ("bookings", "0006_ticket_holders_hold")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
