"""ALTCHA's challenges and solutions, solved by the package's own solver."""

import base64
import json
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from time import perf_counter
from typing import Any

import altcha
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms import proof_of_work
from app.forms.signing import signing_keys
from app.model.form import CheckFailure
from tests.forms.checking import KEYS, desk, form, refused

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def encoded(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def solved(challenge: dict[str, Any]) -> dict[str, Any]:
    """What the widget sends, before it is encoded."""
    solution = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert solution is not None
    return {"challenge": challenge, "solution": solution.to_dict()}


@cache
def _of_the_first_desk() -> dict[str, Any]:
    return solved(proof_of_work.new_challenge(desk().office, form()))


def good() -> dict[str, Any]:
    """One solution for everybody, because finding it takes a second."""
    return deepcopy(_of_the_first_desk())


def test_a_solution_is_taken_and_has_the_same_digest_every_time() -> None:
    ours = desk()
    proof = proof_of_work.check(ours.office, form(), encoded(good()))
    assert proof == proof_of_work.check(ours.office, form(), encoded(good()))
    assert proof.expires_at == ours.now + proof_of_work.LIFETIME
    assert len(proof.digest) == 64


def test_the_digest_does_not_depend_on_how_the_solution_is_written() -> None:
    ours = desk()
    otherwise = good()
    otherwise["solution"] = {"derivedKey": otherwise["solution"]["derivedKey"].upper(), "counter": -1, "more": [1]}
    proof = proof_of_work.check(ours.office, form(), encoded(otherwise))
    assert proof.digest == proof_of_work.check(ours.office, form(), encoded(good())).digest


def test_the_packages_own_verification_agrees() -> None:
    ours = desk()
    ours.now = datetime.now(UTC)
    document = solved(proof_of_work.new_challenge(ours.office, form()))
    [signing], [expecting] = (
        signing_keys(ours.settings, purpose) for purpose in ("altcha challenge v1", "altcha key v1")
    )
    assert proof_of_work.check(ours.office, form(), encoded(document))
    assert altcha.verify_solution(encoded(document), signing, hmac_key_secret=expecting).verified
    # By deriving the key once more, too.
    assert altcha.verify_solution(encoded(document), signing).verified


def test_nothing_is_not_a_solution() -> None:
    with refused(CheckFailure.PROOF_MISSING):
        proof_of_work.check(desk().office, form(), "")


def test_another_forms_solution_is_worth_nothing() -> None:
    with refused(CheckFailure.PROOF_INVALID):
        proof_of_work.check(desk().office, form(key="anotherformofours2"), encoded(good()))


def test_another_services_solution_is_worth_nothing() -> None:
    with refused(CheckFailure.PROOF_INVALID):
        proof_of_work.check(desk(KEYS[1]).office, form(), encoded(good()))


def test_while_keys_are_changed_the_old_ones_challenges_are_good() -> None:
    assert proof_of_work.check(desk(KEYS[1], KEYS[0]).office, form(), encoded(good()))


def test_a_challenge_is_over_after_twenty_minutes() -> None:
    ours = desk()
    ours.pass_time(minutes=20, seconds=-1)
    proof_of_work.check(ours.office, form(), encoded(good()))
    ours.pass_time(seconds=1)
    with refused(CheckFailure.PROOF_EXPIRED):
        proof_of_work.check(ours.office, form(), encoded(good()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("expiresAt", 4_000_000_000),
        ("cost", 1),
        ("keyPrefix", ""),
        ("keyLength", 0),
        ("keySignature", "00"),
        ("keySignature", None),
        ("algorithm", "SHA-256"),
        ("nonce", "00"),
        ("data", None),
    ],
)
def test_an_easier_challenge_is_not_ours(name: str, value: object) -> None:
    document = good()
    document["challenge"]["parameters"][name] = value
    with refused(CheckFailure.PROOF_INVALID):
        proof_of_work.check(desk().office, form(), encoded(document))


@pytest.mark.parametrize(
    "changes",
    [
        {"solution": None},
        {"solution": {"counter": 0, "derivedKey": "00" * 32}},
        {"solution": {"counter": 0, "derivedKey": ["00"]}},
        {"challenge": None},
        {"challenge": {"parameters": [], "signature": ""}},
        {"challenge": {"parameters": "algorithm", "signature": None}},
    ],
)
def test_what_is_no_solution_is_refused(changes: dict[str, Any]) -> None:
    with refused(CheckFailure.PROOF_INVALID):
        proof_of_work.check(desk().office, form(), encoded(good() | changes))


def test_an_unsigned_challenge_of_the_callers_own_is_not_ours() -> None:
    theirs = altcha.create_challenge(
        "PBKDF2/SHA-256",
        1,
        counter=1,
        expires_at=4_000_000_000,
        data={"form": form().key},
        hmac_secret="theirs",
        hmac_key_secret="theirs",
    ).to_dict()
    with refused(CheckFailure.PROOF_INVALID):
        proof_of_work.check(desk().office, form(), encoded(solved(theirs)))


@pytest.mark.parametrize("depth", [100, 900, 1400])
def test_nested_without_end_is_refused(depth: int) -> None:
    document = json.dumps(good()).replace(f'{{"form": "{form().key}"}}', "[" * depth + "]" * depth)
    for text in ("[" * depth, document):
        with refused(CheckFailure.PROOF_INVALID):
            proof_of_work.check(desk().office, form(), base64.b64encode(text.encode()).decode())


def test_judging_is_cheap_whatever_is_sent() -> None:
    ours = desk()
    wrong = good()
    wrong["challenge"]["parameters"]["cost"] = 10**9
    texts = (encoded(wrong), "A" * 10_000_000)
    signing_keys(ours.settings, "altcha key v1")
    for text in texts:
        begun = perf_counter()
        for _ in range(20):
            with refused(CheckFailure.PROOF_INVALID):
                proof_of_work.check(ours.office, form(), text)
        assert (perf_counter() - begun) / 20 < 0.01


@given(JSON, JSON)
def test_any_document_is_refused(document: object, inner: object) -> None:
    altered = good()
    altered["challenge"]["parameters"] = inner
    for each in (document, altered, {"challenge": document, "solution": inner}):
        with refused(CheckFailure.PROOF_INVALID):
            proof_of_work.check(desk().office, form(), encoded(each))


@given(st.text(min_size=1))
def test_any_text_is_refused(text: str) -> None:
    with refused(CheckFailure.PROOF_INVALID):
        proof_of_work.check(desk().office, form(), text)
