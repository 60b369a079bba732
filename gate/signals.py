"""What the gate announces, inside the transaction of the scan: receivers put work on its way, they do none."""

from django.dispatch import Signal

ticket_scanned = Signal()  # scan_id
