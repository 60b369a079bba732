"""
Prices with a code in currencies of three decimals end in 0, as what cards are charged must.

A new overload of `sale_code_off` with the smallest part of the currency; the one without stays for processes that still run
the code before.
"""

from importlib import import_module

from django.db import migrations

from common.money import THREE_DECIMAL

BEFORE = import_module("bookings.migrations.0008_hold_with_code").FORWARD
OLD = "sale_code_off(sale.price_minor, code.percent, code.off_minor)"
THREE = ", ".join(f"'{code}'" for code in sorted(THREE_DECIMAL))
NEW = f"""sale_code_off(sale.price_minor, code.percent, code.off_minor,
                CASE WHEN sale.currency IN ({THREE}) THEN 10 ELSE 1 END)"""

FORWARD = """
CREATE OR REPLACE FUNCTION sale_code_off(p_price integer, p_percent smallint, p_off integer, p_step integer) RETURNS integer
LANGUAGE sql IMMUTABLE AS $body$
-- What a code takes off one ticket: per cent is rounded to the step of the currency, a half up, and never more than the price.
SELECT least(p_price, CASE WHEN p_percent IS NOT NULL
    THEN ((p_price::bigint * p_percent + 50 * p_step) / (100 * p_step) * p_step)::integer ELSE coalesce(p_off, 0) END);
$body$;
""" + BEFORE.replace(OLD, NEW)
BACKWARD = BEFORE + "DROP FUNCTION sale_code_off(integer, smallint, integer, integer);"


class Migration(migrations.Migration):
    dependencies = [("bookings", "0010_gifts_of_an_event")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
