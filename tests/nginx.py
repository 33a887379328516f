"""nginx as Debian has it, in front of a service: `with nginx(tmp_path, {port: "location / { ... }"}):`."""

import contextlib
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.neighbours import program

_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {http}
    {servers}
}}
"""


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens, and which the system gives to nobody who asks for any port."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def nginx(directory: Path, servers: Mapping[int, str], *, http: str = "") -> Iterator[None]:
    """Serve on each port of 127.0.0.1 what its `server` block says; `http` stands before the blocks."""
    executable = program("nginx")
    directory.mkdir(exist_ok=True)
    blocks = "\n".join(f"server {{ listen 127.0.0.1:{port}; {block} }}" for port, block in servers.items())
    configuration, log = directory / "nginx.conf", directory / "error.log"
    configuration.write_text(_CONFIGURATION.format(directory=directory, http=http, servers=blocks))
    command = [executable, "-p", str(directory), "-e", str(log), "-c", str(configuration)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for port in servers:
            _wait_for(port, process, log)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nginx does not listen: {log.read_text()}")
