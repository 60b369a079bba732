"""
The embedded PostgreSQL 18 and Redis: the binaries of two wheels, started, found again and stopped by us.

Everything happens under one file lock per DATA_DIR, a server counts as running only when its process is ours and alive, and
both listen on unix sockets alone. The wheels' own Python helpers are not used: they take any process with a recycled pid for
PostgreSQL, start a second Redis beside the first, and change the modes of other people's directories.
"""


class EmbeddedError(Exception):
    """An embedded server could not be started; the message says which, why, and where its log is."""
