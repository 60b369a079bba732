"""
Where news comes from: the rows of sales themselves, read a little behind the present.

`%(organisers)s` are those with an endpoint that is on. Nothing personal is told: a receiver that may know more asks the API.
"""

COLLECT = """
    WITH cursor AS (
        -- Changes have rising ids; the newest are read again, because a lower one may be committed later.
        SELECT read_until - interval '60 seconds' AS since, last_step - 20000 AS step FROM webhooks_webhookcursor
    ),
    mine AS (SELECT id, name, created_by_id, status, updated_at FROM events_event WHERE created_by_id = ANY(%(organisers)s)),
    news AS (
        SELECT mine.created_by_id AS organiser, step.at,
            CASE WHEN step.to_status = 'confirmed' THEN 'booking.confirmed' ELSE 'booking.cancelled' END AS kind,
            'booking:' || step.id AS cause,
            jsonb_build_object('bookingId', booking.id, 'reference', booking.reference, 'eventId', mine.id,
                'eventName', mine.name, 'categoryId', booking.category_id, 'quantity', booking.quantity,
                'amountMinor', booking.amount_minor, 'currency', booking.currency, 'source', booking.source,
                'reason', step.reason) AS data
        FROM bookings_bookingtransition step
        JOIN bookings_booking booking ON booking.id = step.booking_id
        JOIN mine ON mine.id = booking.event_id, cursor
        WHERE step.id > cursor.step AND step.at > cursor.since AND 'confirmed' IN (step.from_status, step.to_status)
        UNION ALL
        SELECT mine.created_by_id, refund.finished_at, 'refund.succeeded', 'refund:' || refund.id,
            jsonb_build_object('refundId', refund.id, 'bookingId', booking.id, 'reference', booking.reference,
                'eventId', mine.id, 'amountMinor', refund.amount_minor, 'currency', refund.currency)
        FROM payments_refund refund
        JOIN payments_payment payment ON payment.id = refund.payment_id
        JOIN bookings_booking booking ON booking.id = payment.booking_id
        JOIN mine ON mine.id = booking.event_id, cursor
        WHERE refund.status = 'succeeded' AND refund.finished_at > cursor.since
        UNION ALL
        SELECT mine.created_by_id, entry.joined_at, 'waitlist.joined', 'joined:' || entry.id,
            jsonb_build_object('waitlistId', entry.id, 'eventId', mine.id, 'quantity', entry.quantity, 'reason', entry.reason)
        FROM waitlist_waitlistentry entry JOIN mine ON mine.id = entry.event_id, cursor
        WHERE entry.joined_at > cursor.since
        UNION ALL
        SELECT mine.created_by_id, entry.offered_at, 'waitlist.offered', 'offered:' || entry.id || ':' || entry.offers,
            jsonb_build_object('waitlistId', entry.id, 'eventId', mine.id, 'bookingId', entry.booking_id,
                'expiresAt', entry.offer_expires_at)
        FROM waitlist_waitlistentry entry JOIN mine ON mine.id = entry.event_id, cursor
        WHERE entry.offered_at > cursor.since AND entry.status = 'offered'
        UNION ALL
        SELECT mine.created_by_id, mine.updated_at, 'event.cancelled', 'event_cancelled:' || mine.id,
            jsonb_build_object('eventId', mine.id, 'eventName', mine.name)
        FROM mine, cursor WHERE mine.status = 'cancelled' AND mine.updated_at > cursor.since
    )
    INSERT INTO webhooks_webhookmessage (id, organiser_id, kind, cause, payload, occurred_at)
    SELECT gen_random_uuid(), organiser, kind, cause, data, at FROM news ORDER BY at
    ON CONFLICT (organiser_id, cause) DO NOTHING
"""

# A delivery for each endpoint that wants the kind and was there when it happened.
SPREAD = """
    INSERT INTO webhooks_webhookdelivery (id, message_id, endpoint_id)
    SELECT gen_random_uuid(), message.id, endpoint.id
    FROM webhooks_webhookmessage message
    JOIN webhooks_webhookendpoint endpoint ON endpoint.organiser_id = message.organiser_id
    WHERE message.organiser_id = ANY(%(organisers)s) AND message.created_at > now() - interval '10 minutes'
    AND endpoint.enabled AND endpoint.created_at <= message.occurred_at AND message.kind <> 'webhook.test'
    AND (endpoint.kinds = '{}'::varchar[] OR message.kind = ANY(endpoint.kinds))
    ON CONFLICT (message_id, endpoint_id) DO NOTHING
"""

ADVANCE = """
    UPDATE webhooks_webhookcursor
    SET read_until = now(), last_step = coalesce((SELECT max(id) FROM bookings_bookingtransition), 0)
"""

# Deletes old messages with their deliveries and tries, so many at a time: message by message, a month's would take minutes.
FORGET = """
    WITH old AS (
        SELECT id FROM webhooks_webhookmessage message
        WHERE created_at < statement_timestamp() - %(days)s * interval '1 day'
            AND NOT EXISTS (SELECT FROM webhooks_webhookdelivery WHERE message_id = message.id AND status = 'waiting')
        ORDER BY created_at LIMIT %(most)s
    ),
    deliveries AS (
        DELETE FROM webhooks_webhookdelivery WHERE message_id IN (SELECT id FROM old) RETURNING id
    ),
    tries AS (
        DELETE FROM webhooks_webhookattempt WHERE delivery_id IN (SELECT id FROM deliveries)
    )
    DELETE FROM webhooks_webhookmessage WHERE id IN (SELECT id FROM old)
"""
