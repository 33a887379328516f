"""Names of headers that WSGI cannot tell apart, over a socket: what a proxy wrote counts, not what looks like it."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_process import Running, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Behind a trusted proxy, which is this test, on a machine that has variables as CGI names headers."""
    directory: Path = tmp_path_factory.mktemp("service")
    with running(
        directory,
        TRUSTED_PROXIES="127.0.0.1",
        RATE_LIMIT_ENABLED="true",
        HTTP_X_FORWARDED_FOR="192.0.2.99",
        HTTP_X_FORWARDED_HOST="evil.example",
    ) as service:
        yield service


def ask(service: Running, path: str, *lines: str) -> tuple[int, str]:
    """The status and the body of a GET with these header lines, in this order."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        head = "\r\n".join((f"GET {path} HTTP/1.1", "Host: 127.0.0.1:8000", *lines, "Connection: close"))
        connection.sendall(f"{head}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        ("203.0.113.1", ["X-Forwarded-For: {address}", "X_Forwarded_For: {other}"]),
        ("203.0.113.2", ["X_Forwarded_For: {other}", "X-Forwarded-For: {address}"]),
        ("203.0.113.3", ["Content-Type: a/b", "X-Forwarded_For: {other}", "X-Forwarded-For: {address}"]),
        (
            "203.0.113.4",
            ["x_forwarded-for: {other}", "X-Forwarded-For: {other}, {address}", "X_FORWARDED_FOR: {other}"],
        ),
        ("203.0.113.5", ["X-Forwarded-For: {other}", "X_Forwarded_For: {other}", "X-Forwarded-For: {address}"]),
        ("127.0.0.1", ["X_Forwarded_For: {other}"]),
    ],
)
def test_a_client_does_not_choose_its_address_by_a_name_that_looks_like_the_proxys(
    service: Running, address: str, lines: list[str]
) -> None:
    statuses = [
        ask(
            service,
            "/api/v1/versiontest",
            *(line.format(address=address, other=f"198.51.100.{number}") for line in lines),
        )[0]
        for number in range(12)
    ]
    assert statuses == [200] * 10 + [429] * 2


def test_nor_the_address_of_the_service(service: Running) -> None:
    real = "X-Forwarded-Host: mail.example.com"
    for lines in ([real, "X_Forwarded_Host: evil.example"], ["X_Forwarded_Host: evil.example", real]):
        assert "curl http://mail.example.com/" in ask(service, "/", *lines, "X_Forwarded_Prefix: /evil")[1]
    assert "curl http://127.0.0.1:8000/" in ask(service, "/", "X_Forwarded_Host: evil.example")[1]
