from django.db import migrations

RETIRE = """
CREATE FUNCTION gate_retire_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gate_retiredcode (event_id, ticket_id, code_hash)
    VALUES (OLD.event_id, OLD.id, encode(sha256(convert_to(OLD.event_id::text || ':' || OLD.code, 'UTF8')), 'hex'))
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER gate_retire_code AFTER UPDATE OF code ON bookings_ticket
    FOR EACH ROW WHEN (OLD.code IS DISTINCT FROM NEW.code) EXECUTE FUNCTION gate_retire_code();
"""
FORGET = """
DROP TRIGGER gate_retire_code ON bookings_ticket;
DROP FUNCTION gate_retire_code();
"""


class Migration(migrations.Migration):
    """A code that is replaced leaves its hash behind, whoever replaced it."""

    dependencies = [("gate", "0002_sights_and_reviews")]

    operations = [migrations.RunSQL(RETIRE, FORGET)]
