"""The ASGI application without a server: what becomes of a request's lines, and threads that wait for clients."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.exceptions import BadRequest, RequestTimeout

from app.errors import Overloaded
from app.settings import GuardSettings, Settings
from app.settings.network import networks
from app.web.asgi import ASGIApplication
from app.web.body_reads import MOST_OF_ADDRESS, MOST_OF_TOKEN, TOKEN, BodyReads
from app.web.threads import Threads
from tests.conftest import Service

Headers = list[tuple[bytes, bytes]]


def environ_of(headers: Headers, *messages: dict[str, Any], path: bytes = b"/", query: bytes = b"") -> dict[str, Any]:
    """What the WSGI application is given, with its body under "body"."""
    seen: dict[str, Any] = {}

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read())
        start_response("204 No Content", [("X-Ä".encode().decode("latin-1"), "ü")])
        return []

    async def receive() -> dict[str, Any]:
        return next(left)

    async def send(message: Any) -> None:
        sent.append(message)

    left, sent = iter(messages), list[Any]()
    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": path,
        "query_string": query,
        "http_version": "1.1",
        "scheme": "http",
        "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 8000),
        "headers": headers,
    }
    served = ASGIApplication(application, Settings(), threads=1, at_startup=lambda: None)
    asyncio.run(served(scope, receive, send))
    assert sent[0]["status"] == 204
    return seen


def block(octets: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": octets, "more_body": more}


def test_lines_become_what_wsgi_calls_them() -> None:
    environ = environ_of(
        [(b"host", b"a"), (b"content-type", b"x/y"), (b"accept", b"a"), (b"accept", b"b"), (b"content-length", b"2")],
        block(b"ab"),
        path=b"/caf%C3%A9/%2F",
        query=b"a=%20",
    )
    assert (environ["HTTP_HOST"], environ["CONTENT_TYPE"], environ["HTTP_ACCEPT"]) == ("a", "x/y", "a,b")
    assert environ["PATH_INFO"] == "/café//".encode().decode("latin-1")
    assert (environ["QUERY_STRING"], environ["REMOTE_ADDR"], environ["body"]) == ("a=%20", "192.0.2.1", b"ab")


@pytest.mark.parametrize("is_first", [False, True])
def test_a_name_with_an_underscore_is_never_taken_for_the_one_with_a_hyphen(is_first: bool) -> None:
    pair = [(b"x-forwarded-for", b"192.0.2.7"), (b"x_forwarded_for", b"192.0.2.8")]
    assert environ_of(pair[::-1] if is_first else pair)["HTTP_X_FORWARDED_FOR"] == "192.0.2.7"
    assert "HTTP_X_FORWARDED_FOR" not in environ_of(pair[1:])


def test_zeros_before_a_length_are_nothing_however_many_they_are() -> None:
    for declared, meant in ((b"0" * 5000 + b"4", "4"), (b"0" * 5000, "0"), (b"040", "40")):
        environ = environ_of([(b"content-length", declared)], block(b"a" * int(meant)))
        assert environ["CONTENT_LENGTH"] == meant


def test_a_chunked_body_has_no_length_whatever_is_declared() -> None:
    headers = [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")]
    environ = environ_of(headers, block(b"ab", more=True), block(b"c"))
    assert (environ["body"], environ.get("CONTENT_LENGTH")) == (b"abc", None)


def test_a_token_is_a_client_of_its_own_once_it_was_good() -> None:
    reads = BodyReads(Settings(guards=GuardSettings(trusted_proxies=networks("127.0.0.1"))))
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer a"}
    assert reads.client(environ) == ("192.0.2.7", MOST_OF_ADDRESS)
    reads.remember_token(environ)
    assert reads.client(environ) == ("192.0.2.7", MOST_OF_ADDRESS)
    reads.remember_token({**environ, TOKEN: "t1"})
    assert reads.client(environ) == ("token t1", MOST_OF_TOKEN)
    assert reads.client({**environ, "HTTP_AUTHORIZATION": "Bearer b"}) == ("192.0.2.7", MOST_OF_ADDRESS)
    assert reads.client({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7," * 300})[0] == "127.0.0.1"


def test_those_who_wait_in_the_line_of_one_client_go_on_in_order_and_nobody_elses_is_longer() -> None:
    async def crowd() -> tuple[list[int], int]:
        reads, gone_on = BodyReads(Settings()), []

        async def receive(number: int) -> None:
            await reads.begin("one", 2)
            gone_on.append(number)
            await asyncio.sleep(0)
            reads.end("one")

        await reads.begin("one", 2)
        await reads.begin("one", 2)
        waiting = [asyncio.create_task(receive(number)) for number in range(20)]
        await asyncio.sleep(0)
        await asyncio.wait_for(reads.begin("other", 2), 1)
        reads.end("one")
        reads.end("one")
        await asyncio.gather(*waiting)
        return gone_on, len(reads._receiving)

    gone_on, left = asyncio.run(crowd())
    assert gone_on == list(range(20))
    assert left == 1, "the other's"


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadRequest("The request body ended early."), 400), (RequestTimeout("x"), 408), (Overloaded("x"), 503)],
)
@pytest.mark.parametrize("path", ["/api/v1/emails", "/forms/default", "/apiops/auth/token"])
def test_each_surface_says_in_its_form_what_became_of_a_body(
    service: Service, path: str, error: Exception, status: int
) -> None:
    class Broken:
        def read(self, _: int = -1) -> bytes:
            raise error

    answer = service.client.post(
        path,
        content_type="application/x-www-form-urlencoded" if "auth" in path else "application/json",
        environ_overrides={"wsgi.input": Broken(), "wsgi.input_terminated": True, "CONTENT_LENGTH": "9"},
        headers={"Origin": "http://localhost", "Accept": "application/json"},
    )
    assert answer.status_code == status
    assert answer.is_json
    assert ("Retry-After" in answer.headers) == (status == 503)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 5 seconds"
        time.sleep(0.001)


def test_threads_that_wait_for_clients_are_replaced_and_the_surplus_ends() -> None:
    threads = Threads(2)
    begun, done, over = [], [], threading.Event()

    def wait_for_a_client() -> None:
        with threads.away() as may_wait:
            begun.append(may_wait)
            over.wait(5)

    for _ in range(10):
        threads.run(wait_for_a_client)
    wait_until(lambda: len(begun) == 10)
    for _ in range(100):
        threads.run(lambda: done.append(threading.current_thread()))
    wait_until(lambda: len(done) == 100)
    assert len(set(done)) <= 2
    before = threading.active_count()
    over.set()
    wait_until(lambda: threading.active_count() <= before - 10 + 2)
    threads.run(lambda: done.append(threading.current_thread()))
    wait_until(lambda: len(done) == 101)
