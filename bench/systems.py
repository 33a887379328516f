"""What is compared: the service as the README runs it, and its peers, installed once and started on loopback."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import native, payload
from bench.certificate import Certificate
from bench.processes import Tree, await_listening, free_port, running

PASSWORD = "bench-password"
SMTP_CONNECTIONS = 64
"""As many as callers at once: fewer and a pool makes them wait for each other behind a slow server."""
MAX_REQUEST_BYTES = 64 * 1024 * 1024

_PEERS = native.HERE / "peers"
LETTERBOX = Path(sys.executable).with_name("letterbox")
_ENDLESS = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all systems are started with. `directory` is for their files; with a certificate they sign in, too."""

    directory: Path
    processes: int = 1
    certificate: Certificate | None = None
    log_level: str = "info"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class System:
    """A system that runs."""

    name: str
    port: int
    tree: Tree


Starter = Callable[[Setting, int], AbstractContextManager[System]]


@contextmanager
def letterbox(setting: Setting, smtp_port: int) -> Iterator[System]:
    """`letterbox serve` with every guard on and limits that one client does not reach."""
    port = free_port()
    log = setting.directory / "letterbox.log"
    environment = letterbox_environment(setting, smtp_port) | {"PORT": str(port)}
    with running([LETTERBOX, "serve"], directory=setting.directory, environment=environment, log=log) as tree:
        await_listening(tree, port, log=log)
        yield System("letterbox", port, tree)


@contextmanager
def fastify(setting: Setting, smtp_port: int) -> Iterator[System]:
    """fastify with nodemailer's pool."""
    port, directory = free_port(), _PEERS / "fastify"
    log = setting.directory / "fastify.log"
    with running(
        ["node", "peer.js"],
        directory=directory,
        environment=_peer_environment(setting, smtp_port) | {"PORT": str(port), "NODE_ENV": "production"},
        log=log,
    ) as tree:
        await_listening(tree, port, log=log)
        yield System("fastify", port, tree)


@contextmanager
def flask(setting: Setting, smtp_port: int) -> Iterator[System]:
    """Flask with smtplib, a connection for each mail, under gunicorn's threads."""
    port, directory = free_port(), _PEERS / "flask"
    log = setting.directory / "flask.log"
    options = ["-b", f"127.0.0.1:{port}", "-k", "gthread", "-w", str(setting.processes), "--threads", "64"]
    with running(
        [directory / ".venv" / "bin" / "gunicorn", *options, "--log-level", "warning", "peer:app"],
        directory=directory,
        environment=_peer_environment(setting, smtp_port) | {"PYTHONDONTWRITEBYTECODE": "1"},
        log=log,
    ) as tree:
        await_listening(tree, port, log=log)
        yield System("flask", port, tree)


SYSTEMS: Mapping[str, Starter] = {"letterbox": letterbox, "fastify": fastify, "flask": flask}


def install(names: list[str]) -> None:
    """Fetch what the peers need, once, in the versions that are written down beside them."""
    if "fastify" in names:
        _install_fastify()
    if "flask" in names:
        _install_flask()


def letterbox_environment(setting: Setting, smtp_port: int) -> dict[str, str]:
    """Also for its commands, such as `letterbox tokens`."""
    configuration = {
        "Index": 1,
        "Host": "127.0.0.1",
        "Port": smtp_port,
        "Email": "web@example.com",
        "MaxConnections": SMTP_CONNECTIONS,
    }
    if setting.certificate:
        configuration |= {"Security": "starttls", "CAFile": str(setting.certificate.authority)}
    else:
        configuration |= {"Security": "none", "Auth": "none"}
    environment = {
        "SMTP_CONFIGURATIONS": json.dumps([configuration]),
        "SMTP_RECEPTION_EMAIL": "office@example.com",
        "VAR_DIR": str(setting.directory),
        "WEB_PROCESSES": str(setting.processes),
        "RATE_LIMIT": f"{_ENDLESS} per minute",
        "TOKEN_RATE_LIMIT": f"{_ENDLESS} per minute",
        "BURST_LIMIT": str(_ENDLESS),
        "EXCESS_LIMIT": str(_ENDLESS),
        "MAX_REQUEST_BYTES": str(MAX_REQUEST_BYTES),
        "LOG_LEVEL": setting.log_level,
    }
    if setting.certificate:
        environment["SMTP_1_PASSWORD"] = PASSWORD
    return environment | setting.environment


def _peer_environment(setting: Setting, smtp_port: int) -> dict[str, str]:
    text, html = payload.write_peer_templates(setting.directory)
    environment = {
        "SMTP_PORT": str(smtp_port),
        "SMTP_CONNECTIONS": str(SMTP_CONNECTIONS),
        "MAX_REQUEST_BYTES": str(MAX_REQUEST_BYTES),
        "PROCESSES": str(setting.processes),
        "PEER_TEXT": str(text),
        "PEER_HTML": str(html),
    }
    if setting.certificate:
        environment |= {"SMTP_PASSWORD": PASSWORD, "SMTP_AUTHORITY": str(setting.certificate.authority)}
    return environment


def _install_fastify() -> None:
    directory = _PEERS / "fastify"
    if shutil.which("npm") is None:
        raise RuntimeError("the benchmark needs node and npm for its peer fastify")
    mark = directory / "node_modules" / ".package-lock.json"
    if mark.exists() and mark.stat().st_mtime >= (directory / "package-lock.json").stat().st_mtime:
        return
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=directory, check=True)


def _install_flask() -> None:
    directory = _PEERS / "flask"
    mark, requirements = directory / ".venv" / ".installed", directory / "requirements.txt"
    if mark.exists() and mark.stat().st_mtime >= requirements.stat().st_mtime:
        return
    subprocess.run([sys.executable, "-m", "venv", directory / ".venv"], check=True)
    pip = [directory / ".venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    subprocess.run([*pip, "--requirement", requirements], check=True)
    mark.touch()
