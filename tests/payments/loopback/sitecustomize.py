"""
Put on PYTHONPATH of a program that would listen on every interface: whatever it binds, it binds to the loopback interface.

Python imports this by its name before it runs the program, which knows nothing of it.
"""

import socket

bind = socket.socket.bind


def bind_to_loopback(self, address):
    """Bind to 127.0.0.1, also by a socket for both versions of IP."""
    host = "::ffff:127.0.0.1" if self.family == socket.AF_INET6 else "127.0.0.1"
    return bind(self, (host, address[1]))


socket.socket.bind = bind_to_loopback
