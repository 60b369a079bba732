"""The embedded Redis of one DATA_DIR."""

import signal
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.embedded import EmbeddedError
from config.embedded.binaries import redis_binary
from config.embedded.places import REDIS_SOCKET, Places
from config.embedded.processes import PATIENCE, end, last_lines, log_file, process_of, processes_in, run, wait_for

NAME = "Redis"
NO_RETRY = Retry(NoBackoff(), 0)


def start(where: Places, durable: bool) -> bool:
    """Start Redis unless it runs; True if it had to be started."""
    if running(where):
        if not wait_for(lambda: answers(where) or running(where) is None, PATIENCE):
            raise EmbeddedError(f"Redis runs but does not answer. Its log: {where.home / 'redis.log'}")
        if running(where):
            return False
    log = log_file(where, "redis.log")
    command: list[str | Path] = [redis_binary(where), "--port", "0", "--unixsocket", where.sockets / REDIS_SOCKET]
    command += ["--unixsocketperm", "700", "--dir", where.redis, "--pidfile", where.redis / "redis.pid"]
    command += ["--logfile", log, "--daemonize", "yes", "--databases", "64", "--save", ""]
    command += ["--appendonly", "yes" if durable else "no", "--maxmemory-policy", "noeviction"]
    run(command, where, log, NAME)
    wait_for(lambda: answers(where) or running(where) is None, PATIENCE)
    if not answers(where):
        raise EmbeddedError(f"Redis did not start: {last_lines(log)} Its log: {log}")
    return True


def stop(where: Places) -> bool:
    """Stop Redis, its file synced; True if it ran."""
    process = running(where)
    if process is None:
        return False
    return end(process, gentle=signal.SIGTERM, forceful=signal.SIGKILL)


def running(where: Places) -> psutil.Process | None:
    """Return our Redis; also one without a pid file, since a second server on its socket would split the data in two."""
    found = process_of(where.redis / "redis.pid", "redis-server", where.redis)
    return found or next(iter(processes_in(where.redis, "redis-server")), None)


def answers(where: Places) -> bool:
    """Whether Redis answers a PING; one that is still loading its file does not yet."""
    client = redis.Redis(unix_socket_path=str(where.sockets / REDIS_SOCKET), socket_timeout=2, retry=NO_RETRY)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()
