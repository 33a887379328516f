"""The short way for plain addresses says what email-validator says."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.messages import mailboxes
from app.messages.mailboxes import _normalised, mailbox

_LOCAL = st.text("abz019_+-.AZ=?!'é\"@ ", max_size=70)
_DOMAIN = st.one_of(
    st.text("abz019-.AZ_é", max_size=30),
    st.sampled_from(
        [
            "example.com",
            "EXAMPLE.com",
            "xn--bcher-kva.example",
            "xn--.example",
            "ab--cd.example",
            "localhost",
            "a.b.",
            "test",
            "example.123",
            "local",
            "x" * 63 + ".com",
            "x" * 64 + ".com",
            ".".join(["x" * 60] * 4),
            ".".join(["x" * 62] * 4),
        ]
    ),
)


@given(_LOCAL, _DOMAIN)
@example("postmaster", "example.com")
@example("Postmaster", "example.com")
@example("a.b", "xn--bcher-kva.example")
@example("x" * 64, "example.com")
@example("x" * 65, "example.com")
@example("a..b", "example.com")
@example("a", ".".join(["x" * 62] * 4))
def test_the_short_way_says_what_the_library_says(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    expected = _normalised.__wrapped__(text) if len(text) <= 254 else None
    assert mailbox(text) == expected


@pytest.mark.parametrize("text", ["anna@example.com", "o-brien+tag_1.x@sub.example.co.uk"])
def test_a_new_sender_of_a_known_domain_costs_no_entry_of_the_cache(text: str) -> None:
    mailbox(text)
    before = mailboxes._normalised.cache_info().currsize
    assert mailbox(f"b{text}") == f"b{text}"
    assert mailboxes._normalised.cache_info().currsize == before
