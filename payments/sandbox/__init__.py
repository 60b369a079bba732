"""
The sandbox: a small loopback server that speaks Stripe's wire format, so that everything can be tried without an account.

It stands apart from the shop on purpose: no Django models, its own file, reached only over HTTP by the real SDK, by browsers
and by tests. `manage.py payment_sandbox` runs it.
"""
