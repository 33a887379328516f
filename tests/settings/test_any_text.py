"""Whatever stands in a variable: it is a value or a problem, and a secret shows in neither."""

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.errors import SettingsInvalid
from app.settings import VARIABLES, load_settings
from tests.settings.environment import ENTRY, KEY, NO_FILE, SECRET, load, smtp

NAMES = [variable.name.replace("{INDEX}", "1") for variable in VARIABLES]
JSON_PIECES = st.sampled_from(
    [
        *("[", "]", "{", "}", ",", ":", '"', "'", "\\", '\\"', "\\u00e9", " ", "\n", "1", "-1", "1e9", "null", "true"),
        *(
            '"Index"',
            '"Host"',
            '"Port"',
            '"Email"',
            '"Password"',
            '"a@example.com"',
            f'"{SECRET}"',
            "é",
            "\udcff",
            "\0",
        ),
    ]
)
ANY_TEXT = st.one_of(
    st.text(st.characters(), max_size=80),
    st.lists(JSON_PIECES, max_size=40).map("".join),
    st.sampled_from(["https://", "redis://", "sqlite:///", "postgresql+psycopg://"]).flatmap(
        lambda scheme: st.text(st.sampled_from("a.:/@[]?#%0ü\\~ "), max_size=30).map(lambda rest: scheme + rest)
    ),
)


@settings(deadline=None)
@given(variables=st.dictionaries(st.sampled_from(NAMES), ANY_TEXT, max_size=6))
@example(variables={"SMTP_CONFIGURATIONS": "[" * 100_000})
@example(variables={"SMTP_CONFIGURATIONS": '[{"Index":' + "9" * 5000 + "}]"})
@example(variables={"SMTP_CONFIGURATIONS": "'" * 1000 + '"' * 1000})
def test_loading_ends_in_settings_or_in_problems(variables: dict[str, str]) -> None:
    # A key of its own, so that no directory of an arbitrary name is made for one.
    environ = {**variables, "SECRET_KEY": KEY}

    with contextlib.suppress(SettingsInvalid):
        load_settings(NO_FILE | environ)


@settings(deadline=None)
@given(secret_key=ANY_TEXT)
def test_any_secret_key_is_settings_or_problems(secret_key: str) -> None:
    with contextlib.suppress(SettingsInvalid):
        load_settings(NO_FILE | {"SECRET_KEY": secret_key, "VAR_DIR": "/dev/null"})


@settings(deadline=None)
@given(
    variables=st.dictionaries(st.sampled_from(NAMES), ANY_TEXT, max_size=3),
    around=st.tuples(st.lists(JSON_PIECES, max_size=4).map("".join), st.lists(JSON_PIECES, max_size=4).map("".join)),
    place=st.sampled_from(
        [
            ("SECRET_KEY", "{}"),
            ("SMTP_1_PASSWORD", "{}"),
            ("SMTP_1_PASSWORD_TEST", "{}"),
            ("DATABASE_URL", "postgresql+psycopg://me:{}@localhost/letterbox"),
            ("DATABASE_URL", "postgres://me:{}"),
            ("RATE_LIMIT_STORAGE_URI", "redis://:{}@localhost"),
            ("RATE_LIMIT_STORAGE_URI", "{}"),
            ("SMTP_CONFIGURATIONS", '[{{"Index":1,"Host":"h","Password":"{}","Port":1,"Email":"a@example.com"}}]'),
            ("SMTP_CONFIGURATIONS", '[{{"Index":1,"password": {} ,"Host":"h"'),
        ]
    ),
)
def test_a_secret_shows_nowhere(variables: dict[str, str], around: tuple[str, str], place: tuple[str, str]) -> None:
    name, form = place
    secret = form.format(f"{around[0]}{SECRET}{around[1]}").replace("\0", "").replace("\udcff", "")
    others = {key: text for key, text in variables.items() if SECRET not in text and key != "VAR_DIR"}
    environ = {**smtp(ENTRY), "SECRET_KEY": KEY, **others, name: secret}

    try:
        told = repr(load_settings(NO_FILE | environ))
    except SettingsInvalid as error:
        told = str(error)
    assert SECRET not in told


def test_the_representation_of_settings_holds_no_secret() -> None:
    settings = load(
        **smtp(ENTRY, SMTP_1_PASSWORD_TEST=SECRET, SECRET_KEY=SECRET * 2),
        DATABASE_URL=f"postgresql+psycopg://me:{SECRET}@localhost/letterbox",
        RATE_LIMIT_STORAGE_URI=f"redis://:{SECRET}@localhost",
    )

    assert SECRET in settings.database_url
    assert SECRET not in repr(settings)
