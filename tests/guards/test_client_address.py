"""Which client a request counts for, and that no client can choose."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.guards.client_address import client_key, parse_address, typed_client_key

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("192.0.2.1/32"), ip_network("2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("peer", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:CB00:7107", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("/run/letterbox.sock", "unknown"),
        ("1" * 10_000, "unknown"),
    ],
)
def test_without_trusted_proxies_the_client_is_the_peer(peer: str, key: str) -> None:
    assert client_key(peer) == key
    assert client_key(peer, "198.51.100.1") == key


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "key"),
    [
        pytest.param("203.0.113.7", "198.51.100.1", "203.0.113.7", id="untrusted peer"),
        pytest.param("10.0.0.1", "198.51.100.1", "198.51.100.1", id="one proxy"),
        pytest.param("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1", id="client wrote an entry"),
        pytest.param("10.0.0.1", "1.1.1.1, 10.9.9.9, 198.51.100.1", "198.51.100.1", id="client wrote a trusted entry"),
        pytest.param("10.0.0.1", "198.51.100.1, 192.0.2.1, 10.0.0.2", "198.51.100.1", id="three proxies"),
        pytest.param("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3", id="all trusted: the farthest"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="no header"),
        pytest.param("10.0.0.1", "   ", "10.0.0.1", id="blank header"),
        pytest.param("10.0.0.1", "198.51.100.1,", "10.0.0.1", id="empty last entry"),
        pytest.param("10.0.0.1", "1.1.1.1, unknown", "10.0.0.1", id="malformed last entry"),
        pytest.param("10.0.0.1", "1.1.1.1, nonsense, 10.0.0.2", "10.0.0.2", id="malformed entry behind a proxy"),
        pytest.param("10.0.0.1", "198.51.100.1:4711", "198.51.100.1", id="port"),
        pytest.param("10.0.0.1", "198.51.100.1:99999", "10.0.0.1", id="impossible port"),
        pytest.param("10.0.0.1", "198.51.100.1:", "10.0.0.1", id="empty port"),
        pytest.param("10.0.0.1", "[2001:db8:1:2::9]:443", "2001:db8:1:2::/64", id="brackets and port"),
        pytest.param("10.0.0.1", "[2001:db8:1:2::9]", "2001:db8:1:2::/64", id="brackets"),
        pytest.param("10.0.0.1", "[2001:db8:1:2::9]443", "10.0.0.1", id="text behind the brackets"),
        pytest.param("10.0.0.1", "[198.51.100.1]", "10.0.0.1", id="brackets around IPv4"),
        pytest.param("10.0.0.1", "[2001:db8:1:2::9", "10.0.0.1", id="bracket left open"),
        pytest.param("10.0.0.1", "2001:db8:1:2::9%eth0", "2001:db8:1:2::/64", id="zone"),
        pytest.param("10.0.0.1", "198.51.100.1%eth0", "10.0.0.1", id="IPv4 has no zones"),
        pytest.param("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1", id="mapped"),
        pytest.param("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1", id="mapped peer is trusted"),
        pytest.param("10.0.0.1", "1.1.1.1, ::ffff:10.0.0.2", "1.1.1.1", id="mapped proxy is trusted"),
        pytest.param("2001:db8:ffff::5", "198.51.100.1", "198.51.100.1", id="trusted IPv6 peer"),
        pytest.param("10.0.0.1", "010.0.0.1", "10.0.0.1", id="octal is no address"),
        pytest.param("10.0.0.1", "3405803783", "10.0.0.1", id="a number is no address"),
        pytest.param("", "198.51.100.1", "unknown", id="no peer"),
        pytest.param("10.0.0.1", "198.51.100.1" + " " * 9_000, "10.0.0.1", id="endless entry"),
        pytest.param("10.0.0.1", "," * 9_000 + "198.51.100.1", "198.51.100.1", id="endless header"),
    ],
)
def test_behind_trusted_proxies_the_client_is_the_right_most_untrusted_address(
    peer: str, forwarded_for: str, key: str
) -> None:
    assert client_key(peer, forwarded_for, TRUSTED) == key


@given(st.text(alphabet="0123456789abcdefABCDEF.:,[]% \t-", max_size=80))
def test_whatever_a_client_writes_it_stays_the_client_that_the_proxy_saw(written: str) -> None:
    assert client_key("10.0.0.1", f"{written}, 198.51.100.1", TRUSTED) == "198.51.100.1"
    assert client_key("198.51.100.1", written, TRUSTED) == "198.51.100.1"


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_is_read_with_and_without_a_port(address: object, port: int) -> None:
    text = str(address)
    expected = getattr(address, "ipv4_mapped", None) or ip_address(text)
    with_port = f"[{text}]:{port}" if ":" in text else f"{text}:{port}"

    assert parse_address(text) == expected
    assert parse_address(with_port) == expected


@given(st.ip_addresses())
def test_a_key_can_be_typed_again(address: object) -> None:
    key = client_key(str(address))

    assert typed_client_key(key) == key
    assert typed_client_key(str(address)) == key


@pytest.mark.parametrize("text", ["", "localhost", "203.0.113.0/24", "2001:db8::/48"])
def test_what_is_no_address_cannot_be_typed(text: str) -> None:
    with pytest.raises(ValueError, match="is no IP address"):
        typed_client_key(text)


def test_the_client_without_an_address_can_be_typed() -> None:
    assert typed_client_key("unknown") == "unknown"
