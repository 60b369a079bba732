"""PostgreSQL as Django's own backend has it, with a health check of pooled connections that costs no round trip."""
