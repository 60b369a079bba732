"""Announcements of this app, sent inside the transaction; receivers enqueue a task for after the commit."""

from django.dispatch import Signal

# A person withdrew their consent: their faces are gone, their tickets stay (arguments: user_id).
consent_withdrawn = Signal()
