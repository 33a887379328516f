"""The keys of captchas: both of a pair or none, and the secret one is never shown."""

import pytest

from tests.settings.environment import SECRET, load, problems


@pytest.mark.parametrize("name", ["TURNSTILE", "HCAPTCHA"])
def test_both_keys_reach_their_settings(name: str) -> None:
    settings = load(**{f"{name}_SITE_KEY": "0x4AAA_public-key.1", f"{name}_SECRET_KEY": SECRET})

    assert getattr(settings, f"{name.lower()}_site_key") == "0x4AAA_public-key.1"
    assert getattr(settings, f"{name.lower()}_secret_key") == SECRET
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("name", ["TURNSTILE", "HCAPTCHA"])
@pytest.mark.parametrize(("given", "missing"), [("SITE", "SECRET"), ("SECRET", "SITE")])
def test_one_key_alone_is_a_problem(name: str, given: str, missing: str) -> None:
    (problem,) = problems(**{f"{name}_{given}_KEY": "key"})

    assert problem.startswith(f"{name}_{missing}_KEY: found nothing, expected the key")


def test_a_site_key_that_could_break_out_of_a_page_is_refused() -> None:
    (problem,) = problems(TURNSTILE_SITE_KEY='"><script>', TURNSTILE_SECRET_KEY="key")

    assert problem.startswith("TURNSTILE_SITE_KEY: found ")


@pytest.mark.parametrize("text", [f"{SECRET} {SECRET}", f"{SECRET}é", SECRET * 100])
def test_a_secret_key_that_cannot_be_one_is_not_shown(text: str) -> None:
    (problem,) = problems(HCAPTCHA_SITE_KEY="key", HCAPTCHA_SECRET_KEY=text)

    assert problem.startswith("HCAPTCHA_SECRET_KEY: found ")
    assert SECRET not in problem
