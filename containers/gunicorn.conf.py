"""gunicorn in the web image. GUNICORN_CMD_ARGS sets the number of processes and threads."""

import socket

# Both families of addresses where the machine has both.
bind = "[::]:8000" if socket.has_dualstack_ipv6() else "0.0.0.0:8000"
worker_class = "gthread"
workers = 2
# Each slow upload or download holds one.
threads = 32
# A process that hangs is replaced; requests of uploads and exports are longer than gunicorn's 30 s.
timeout = 120
graceful_timeout = 60
# Longer than proxies keep connections that they do not use: the side that sends closes first, so
# no request meets a closed connection.
keepalive = 75
# Heartbeats are files; the root file system is read-only, and a disk might block.
worker_tmp_dir = "/dev/shm"  # noqa: S108
control_socket_disable = True
accesslog = None
