"""Where a project's connection may lead, and that what was checked is what is connected to."""

import socket
from ipaddress import ip_network

import pytest

from app.model.outcome import Outcome, Stage
from app.model.smtp import Reach
from app.smtp import resolver
from app.smtp.check import check
from app.smtp.reach import may_reach
from tests.smtp.conftest import Send
from tests.smtp_server import SMTPServer

LIMITED = Reach(is_limited=True)
LOOPBACK = Reach(is_limited=True, allowed_networks=(ip_network("127.0.0.1/32"),))

CLOSED = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "172.16.0.1",
    "192.0.0.192",
    "192.88.99.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a00:1",
    "2001:10::1",
    "2001:db8::1",
    "3fff::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2001:0:808:808:0:0:80ff:fffe",
    "2001:0:7f00:1:0:0:f7f7:f7f7",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
    "not an address",
    "",
    "127.1",
]
OPEN = [
    "8.8.8.8",
    "93.184.216.34",
    "2a00:1450:4001:82b::200e",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
    "2001:0:808:808:0:0:f7f7:f7f7",
]


@pytest.mark.parametrize("address", CLOSED)
def test_what_is_not_public_cannot_be_reached(address: str) -> None:
    assert not may_reach(address, LIMITED)


@pytest.mark.parametrize("address", OPEN)
def test_what_is_public_can_be_reached(address: str) -> None:
    assert may_reach(address, LIMITED)


@pytest.mark.parametrize("address", [*OPEN, *CLOSED])
def test_without_a_limit_everything_can_be_reached(address: str) -> None:
    assert may_reach(address, Reach())


@pytest.mark.parametrize(
    ("network", "opened", "closed"),
    [
        ("10.0.0.0/8", ["10.9.9.9", "::ffff:10.9.9.9", "64:ff9b::a00:1"], ["11.0.0.1.1", "192.168.0.1", "fd00::1"]),
        ("fd00:1::/32", ["fd00:1::5"], ["fd00:2::5", "fd00:ec2::254", "10.0.0.1"]),
        ("169.254.169.254/32", ["169.254.169.254"], ["169.254.169.253"]),
        ("fe80::/10", ["fe80::1%eth0"], ["::1"]),
        # The other half of a Teredo address must be allowed, too.
        ("10.0.0.0/8", ["2001:0:a00:1:0:0:f7f7:f7f7"], ["2001:0:a00:1:0:0:80ff:fffe"]),
    ],
)
def test_named_networks_are_open_and_nothing_beside_them(network: str, opened: list[str], closed: list[str]) -> None:
    reach = Reach(is_limited=True, allowed_networks=(ip_network(network),))
    assert all(may_reach(address, reach) for address in opened)
    assert not any(may_reach(address, reach) for address in closed)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "::ffff:127.0.0.1", "0"])
def test_however_it_is_written_the_own_machine_gets_no_connection(host: str, send: Send) -> None:
    with SMTPServer() as server:
        delivery = send(server.configuration(host=host, reach=LIMITED))
    (attempt,) = delivery.attempts
    assert (attempt.outcome, attempt.stage) == (Outcome.SERVER_AT_FAULT, Stage.DNS)
    assert attempt.detail == "the host's address is not one that this service may connect to"
    assert server.connections == 0


def test_an_allowed_network_gets_one(send: Send) -> None:
    with SMTPServer() as server:
        assert send(server.configuration(reach=LOOPBACK)).outcome is Outcome.ACCEPTED


def test_of_several_addresses_only_those_that_are_allowed_are_tried(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_ups: list[str] = []

    def changing(host: str, port: int, flags: int = 0) -> tuple[resolver.Address, ...]:
        """Another answer each time, as a name server gives it that wants to lead inside."""
        if flags:
            raise socket.gaierror
        look_ups.append(host)
        addresses = ("127.0.0.2", "127.0.0.1") if len(look_ups) == 1 else ("127.0.0.2",)
        return tuple(resolver.Address(socket.AF_INET, (address, port)) for address in addresses)

    monkeypatch.setattr(resolver, "_look_up", changing)
    with SMTPServer() as server, socket.socket() as inside:
        inside.bind(("127.0.0.2", server.port))
        inside.listen()
        inside.setblocking(False)
        assert send(server.configuration(host="mail.example.com", reach=LOOPBACK)).outcome is Outcome.ACCEPTED
        with pytest.raises(BlockingIOError):
            inside.accept()
    assert look_ups == ["mail.example.com"]


def test_the_remedy_names_the_setting() -> None:
    with SMTPServer() as server:
        (step,) = check(server.configuration(reach=LIMITED))
    assert (step.name, step.success) == ("dns", False)
    assert "CONNECTION_ALLOWED_NETWORKS" in step.remedy
