"""Which pages may submit, and that whoever does not say where they come from may not."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import OriginRefused, OriginUnknown
from app.forms.origins import demand_origin
from app.forms.page_proofs import PageProof
from app.model.origin import origin_of
from tests.forms.checking import form, visitor

SHOP = "https://www.shop.example"
FORM = form(allowed_origins=(SHOP, "http://old.shop.example:8080"))


def is_taken(*, local: bool = False, **from_where: Any) -> bool:
    try:
        demand_origin(FORM, visitor(**from_where), allows_local_pages=local)
    except (OriginRefused, OriginUnknown):
        return False
    return True


@pytest.mark.parametrize("origin", [SHOP, "http://old.shop.example:8080", "https://mail.example"])
def test_allowed_origins_and_our_own_pages_submit(origin: str) -> None:
    assert is_taken(origin=origin)


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "http://www.shop.example",
            "https://shop.example",
            "https://www.shop.example:444",
            "https://WWW.shop.example",
        ),
        *("https://www.shop.example.evil.example", "https://www.shop.example@evil.example", "https://evil.example"),
        *(f"{SHOP}/", f"{SHOP}/contact", f" {SHOP}", f"{SHOP} https://evil.example", "null", "", "file://"),
        *("http://old.shop.example", "http://localhost:3000", "http://127.0.0.1"),
    ],
)
def test_other_origins_do_not(origin: str) -> None:
    assert not is_taken(origin=origin)


def test_without_an_origin_the_page_counts() -> None:
    assert is_taken(page=f"{SHOP}/contact?from=ad")
    assert is_taken(page=f"{SHOP}/")
    assert is_taken(page="https://mail.example/forms/default")
    assert not is_taken(page="https://evil.example/?https://www.shop.example/")


def test_the_page_does_not_make_up_for_an_origin_that_is_refused() -> None:
    assert not is_taken(origin="null", page=f"{SHOP}/contact")
    assert not is_taken(origin="https://evil.example", page=f"{SHOP}/contact")


@pytest.mark.parametrize(
    "from_where", [{}, {"page": ""}, {"origin": ""}, {"origin": "null"}, {"origin": "null", "page": f"{SHOP}/contact"}]
)
def test_who_says_nothing_is_unknown_and_no_stranger(from_where: dict[str, str]) -> None:
    for local in (False, True):
        with pytest.raises(OriginUnknown):
            demand_origin(FORM, visitor(**from_where), allows_local_pages=local)


@pytest.mark.parametrize("from_where", [{"origin": "https://evil.example"}, {"page": "https://evil.example/a"}])
def test_who_says_another_site_is_a_stranger(from_where: dict[str, str]) -> None:
    with pytest.raises(OriginRefused):
        demand_origin(FORM, visitor(**from_where), allows_local_pages=True)


def test_a_page_proof_stands_for_an_origin() -> None:
    proof = PageProof(digest="0" * 64, expires_at=datetime(2026, 1, 8, tzinfo=UTC))
    for origin in (None, "null", "https://evil.example"):
        assert is_taken(origin=origin, page_proof=proof)


def test_pages_without_an_origin_cannot_be_allowed() -> None:
    with pytest.raises(OriginUnknown):
        demand_origin(form(allowed_origins=("null", "")), visitor(origin="null"), allows_local_pages=True)


@pytest.mark.parametrize(
    "address", [f"{SHOP}\t/", "https://www.shop.example@evil.example/", f"\x00{SHOP}/", "http://["]
)
def test_an_address_that_no_browser_would_send_has_no_origin(address: str) -> None:
    assert not is_taken(page=address)


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:3000", "https://127.0.0.1:8443"])
def test_pages_of_the_developers_machine_submit_where_that_is_allowed(origin: str) -> None:
    assert is_taken(origin=origin, local=True)
    assert is_taken(page=f"{origin}/", local=True)
    assert not is_taken(origin=origin)


@pytest.mark.parametrize(
    "origin",
    ["http://localhost.evil.example", "http://localhost@evil.example", "http://127.0.0.1:99999", "ftp://localhost"],
)
def test_what_only_looks_like_this_machine_does_not(origin: str) -> None:
    assert not is_taken(origin=origin, local=True)


def test_the_refusal_says_which_origin_it_was() -> None:
    with pytest.raises(OriginRefused) as caught:
        demand_origin(FORM, visitor(origin="https://evil.example"), allows_local_pages=False)
    assert caught.value.origin == "https://evil.example"


@given(st.text(st.sampled_from("htps:/\\@.?#[]%\t\n evilshopexampwww0-"), max_size=40))
def test_an_origin_that_was_found_is_the_beginning_of_the_address(rest: str) -> None:
    for address in (rest, f"https://{rest}", f"{SHOP}{rest}"):
        origin = origin_of(address)
        if origin is not None:
            assert address.startswith(origin)
            assert urlsplit(origin).path == ""
            assert origin != SHOP or address == SHOP or address[len(SHOP)] in "/?"
