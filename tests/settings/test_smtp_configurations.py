"""SMTP_CONFIGURATIONS: every way in which people write it, and what is said about what cannot be read."""

import json
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.model.smtp import Account, Security, SMTPConfiguration
from app.settings import load_settings
from tests.settings.environment import ENTRY, KEY, SECRET, load, problems, smtp

ONE_LINE = '[{"Index":1,"Host":"smtp.example.com","Port":465,"Email":"info@example.com"}]'
SEVERAL_LINES = """[
  {
    "Index": 1,
    "Host": "smtp.example.com",
    "Port": 465,
    "Email": "info@example.com"
  }
]"""
EXPECTED = SMTPConfiguration(
    index=1,
    host="smtp.example.com",
    port=465,
    account=Account("info@example.com", "info@example.com", SECRET),
)


def escaped(text: str) -> str:
    return text.replace('"', '\\"')


@pytest.mark.parametrize(
    "written",
    [
        ONE_LINE,
        f"'{ONE_LINE}'",
        f'"{escaped(ONE_LINE)}"',
        f"'{SEVERAL_LINES}'",
        f'"{escaped(SEVERAL_LINES)}"',
        f"'{escaped(ONE_LINE)}'",
        escaped(ONE_LINE),
        ONE_LINE.replace("}]", ",},]"),
        '"{}"'.format(ONE_LINE.replace('"', "'")),
        f"'\"{escaped(ONE_LINE)}\"'",
    ],
)
def test_it_is_read_however_it_is_written_in_a_file(tmp_path: Path, written: str) -> None:
    text = f"SMTP_CONFIGURATIONS={written}\nSMTP_1_PASSWORD={SECRET}\nSMTP_RECEPTION_EMAIL=inbox@example.com\n"
    (tmp_path / ".env").write_text(text)

    assert load_settings({"SECRET_KEY": KEY, "LETTERBOX_ENV_FILE": str(tmp_path / ".env")}).smtp_configurations == (
        EXPECTED,
    )


@pytest.mark.parametrize(
    "raw",
    [
        ONE_LINE,
        SEVERAL_LINES,
        # What Docker's --env-file hands on: quotes and backslashes as they stand in the file.
        f"'{ONE_LINE}'",
        f'"{escaped(ONE_LINE)}"',
        f'"{escaped(SEVERAL_LINES)}"',
        '"' + escaped(SEVERAL_LINES).replace("\n", "\\n") + '"',
        ONE_LINE.replace('"', "'"),
        ONE_LINE.replace("Index", "index").replace("Host", "HOST").replace("Email", "eMail"),
        ONE_LINE.replace("465", '"465"').replace(":1,", ':"1",'),
        ONE_LINE.replace("}]", ' , "Username": null, "Description": "" , } , ]'),
        f"\ufeff {ONE_LINE} \r\n",
        ONE_LINE.replace(":", "\u00a0:\u00a0"),
    ],
)
def test_it_is_read_however_it_arrives_in_the_environment(raw: str) -> None:
    assert load(**smtp(raw)).smtp_configurations == (EXPECTED,)


def test_every_property_reaches_the_configuration(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(authority)
    everything = {
        **ENTRY,
        **{"TestEmail": "test@example.com", "Description": 'Anna\'s "first" ünit', "Username": "apikey"},
        **{"Security": "STARTTLS", "Timeout": 2.5, "MaxConnections": 3, "CAFile": str(authority)},
        **{"EhloName": "www.example.com", "AuthMechanisms": ["login", "PLAIN", "Login"]},
    }

    (configuration,) = load(**smtp(everything, SMTP_1_PASSWORD_TEST="test-password")).smtp_configurations

    assert configuration == SMTPConfiguration(
        index=1,
        host="smtp.example.com",
        port=465,
        account=Account("info@example.com", "apikey", SECRET),
        test_account=Account("test@example.com", "apikey", "test-password"),
        test_email="test@example.com",
        description='Anna\'s "first" ünit',
        security=Security.STARTTLS,
        timeout_s=2.5,
        max_connections=3,
        ca_file=str(authority),
        local_hostname="www.example.com",
        mechanisms=("LOGIN", "PLAIN"),
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('["CRAM-MD5"]', ("CRAM-MD5",)),
        ("['LOGIN', 'PLAIN',]", ("LOGIN", "PLAIN")),
        ('"LOGIN, PLAIN"', ("LOGIN", "PLAIN")),
        ('"plain"', ("PLAIN",)),
        ("[]", ()),
        ("null", ()),
    ],
)
def test_mechanisms_are_a_list_or_a_text(written: str, read: tuple[str, ...]) -> None:
    raw = ONE_LINE.replace("}]", f', "AuthMechanisms": {written}}}]')
    (configuration,) = load(**smtp(raw)).smtp_configurations
    assert configuration.mechanisms == read


def test_quotes_inside_single_quotes_are_text() -> None:
    raw = ONE_LINE.replace('"', "'").replace("}]", r""", 'Description': 'Anna\'s "first" \\ \u00fcnit'}]""")

    (configuration,) = load(**smtp(raw)).smtp_configurations

    assert configuration.description == r"""Anna's "first" \ ünit"""


def test_the_test_account_signs_in_with_its_own_address() -> None:
    both = {**ENTRY, "TestEmail": "test@example.com", "Username": "info@example.com"}

    (configuration,) = load(**smtp(both, SMTP_1_PASSWORD_TEST="t")).smtp_configurations

    assert configuration.test_account == Account("test@example.com", "test@example.com", "t")


def test_without_a_test_password_there_is_no_test_account() -> None:
    (configuration,) = load(**smtp({**ENTRY, "TestEmail": "test@example.com"})).smtp_configurations

    assert (configuration.test_account, configuration.test_email) == (None, "test@example.com")


def test_without_auth_no_password_is_needed() -> None:
    entry = {**ENTRY, "Auth": "None", "TestEmail": "test@example.com"}

    (configuration,) = load(**smtp(entry, SMTP_1_PASSWORD="")).smtp_configurations

    assert configuration.account.password is None
    assert configuration.test_account == Account("test@example.com", "test@example.com", None)


def test_the_order_is_kept() -> None:
    entries = [{**ENTRY, "Index": index, "Auth": "none"} for index in (7, 0, 999)]

    loaded = load(**smtp(*entries, SMTP_1_PASSWORD="")).smtp_configurations

    assert [configuration.index for configuration in loaded] == [7, 0, 999]


@pytest.mark.parametrize(
    ("change", "label", "expected"),
    [
        ({"Index": 1000}, "entry 1, Index", "a whole number from 0 to 999"),
        ({"Index": None}, "entry 1, Index", "found nothing"),
        ({"Index": True}, "entry 1, Index", "a whole number"),
        ({"Host": "smtp://mail.example.com"}, "entry 1, Host", "without a scheme"),
        ({"Host": ""}, "entry 1, Host", "found nothing"),
        ({"Port": 65536}, "entry 1, Port", "a whole number from 1 to 65535"),
        ({"Port": 4.5}, "entry 1, Port", "a whole number"),
        ({"Email": "info"}, "entry 1, Email", "an e-mail address"),
        ({"TestEmail": "@"}, "entry 1, TestEmail", "an e-mail address"),
        ({"Description": "a\u202eb"}, "entry 1, Description", "one line"),
        ({"Username": "a\nb"}, "entry 1, Username", "one line"),
        ({"Security": "ssl"}, "entry 1, Security", "Write tls."),
        ({"Auth": "oauth"}, "entry 1, Auth", "one of password, none"),
        ({"Timeout": 0}, "entry 1, Timeout", "a number of seconds"),
        ({"MaxConnections": 0}, "entry 1, MaxConnections", "a whole number from 1"),
        ({"EhloName": "web_1"}, "entry 1, EhloName", "a host name or an address literal"),
        ({"EhloName": "127.0.0.1 x"}, "entry 1, EhloName", "a host name or an address literal"),
        ({"EhloName": "[300.0.0.1]"}, "entry 1, EhloName", "a host name or an address literal"),
        ({"AuthMechanisms": ["XOAUTH2", "PLAIN"]}, "entry 1, AuthMechanisms", "a list of PLAIN, LOGIN, CRAM-MD5"),
        ({"AuthMechanisms": 5}, "entry 1, AuthMechanisms", "a list of PLAIN, LOGIN, CRAM-MD5"),
        ({"CAFile": "/nowhere.pem"}, "entry 1, CAFile", "a readable file with certificates in PEM"),
        ({"CAFile": __file__}, "entry 1, CAFile", "a readable file with certificates in PEM"),
        ({"prot": 465}, "entry 1", "Did you mean Port?"),
        ({"colour": "red"}, "entry 1", "found the property 'colour'"),
        ({"index": 2}, "entry 1, Index", "found it twice"),
        ({"Password": SECRET}, "entry 1", "Move the password to SMTP_1_PASSWORD"),
        ({"Pasword": SECRET}, "entry 1", "Move the password to SMTP_1_PASSWORD"),
        ({"test_password": SECRET}, "entry 1", "SMTP_1_PASSWORD_TEST"),
        ({f"x{SECRET}": 1}, "entry 1", "a property without a plain name"),
        ({"Description": f'x","Password":"{SECRET}'}, "entry 1, Description", "goes on into the next property"),
        ({"Email": f'x" {SECRET}'}, "entry 1, Email", "characters with quotes among them"),
    ],
)
def test_a_bad_property_is_named_with_its_entry(change: dict[str, Any], label: str, expected: str) -> None:
    told = problems(**smtp({**ENTRY, **change}))

    assert any(problem.startswith(f"SMTP_CONFIGURATIONS, {label}: ") and expected in problem for problem in told)
    assert SECRET not in str(told)


@pytest.mark.parametrize(
    ("raw", "found", "expected"),
    [
        ("[]", "an empty array", "at least one configuration"),
        ("nonsense", "text without quotes at line 1, column 1", "[ because it is a JSON array"),
        ('{"Index":1}', "{ at line 1, column 1", "[ because it is a JSON array"),
        ("[1]", "a number or word at line 1, column 2", "{ because each configuration is a JSON object"),
        ("[{]", "] at line 1, column 3", "a property name in double quotes"),
        ("[{Index:1}]", "text without quotes at line 1, column 3", "a property name in double quotes"),
        ('[{"Index" 1}]', "a number or word at line 1, column 11", "a colon behind the property name"),
        ('[{"Index":}]', "} at line 1, column 11", "a text in double quotes or a number"),
        ('[{"Index":{}}]', "{ at line 1, column 11", "a text in double quotes or a number"),
        ('[{"Index":[1]}]', "a number or word at line 1, column 12", "a text in double quotes"),
        ('[{"Index":1 "Port":2}]', "a text in quotes at line 1, column 13", "a comma or }"),
        ('[{"Index":1}', "the end at line 1, column 13", "a comma or ]"),
        ('[{"Index":1}] and', "text without quotes at line 1, column 15", "nothing behind the closing ]"),
        ('[{"Index":1,,}]', ", at line 1, column 13", "a property name in double quotes"),
        ('[\n {"Index":1,\n  "Host:1}]', "a quote that is not closed at line 3, column 3", "a property name"),
        (r'[{"Host":"C:\x"}]', "a text in quotes at line 1, column 10", "backslashes are written twice"),
        ('[{"Port":0x19}]', "text without quotes at line 1, column 10", "a number"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(raw: str, found: str, expected: str) -> None:
    (problem, *_) = problems(**smtp(raw))

    assert problem.startswith(f"SMTP_CONFIGURATIONS: found {found}")
    assert expected in problem


def test_the_excerpt_shows_known_names_and_hides_every_text() -> None:
    raw = f'[{{"Index":1,"Password":"{SECRET}","Host":"{SECRET}" "Port":1}}]'

    (problem, *_) = problems(**smtp(raw))

    assert '"Host" : "..." <-- here' in problem
    assert SECRET not in problem


@pytest.mark.parametrize("cut", range(1, 90))
def test_a_password_in_a_broken_text_is_never_shown(cut: int) -> None:
    text = json.dumps([{**ENTRY, "Password": SECRET, "Description": "x"}])

    assert SECRET not in str(problems(**smtp(text[:cut] + text[cut + 1 :])))


def test_an_index_given_twice_is_a_problem() -> None:
    (problem,) = problems(**smtp(ENTRY, {**ENTRY, "Host": "other.example.com"}))

    assert problem.startswith("SMTP_CONFIGURATIONS: found Index 1 2 times")


@pytest.mark.parametrize("password", ["", " ", "\t  \n"])
def test_a_password_of_spaces_is_none(password: str) -> None:
    (problem,) = problems(**smtp(SMTP_1_PASSWORD=password))
    assert problem.startswith("SMTP_1_PASSWORD: found nothing")
    entry = ENTRY | {"TestEmail": "test@example.com"}
    assert load(**smtp(entry, SMTP_1_PASSWORD_TEST=password)).smtp_configurations[0].test_account is None


def test_a_missing_password_and_a_missing_recipient_are_problems() -> None:
    told = problems(**smtp(ENTRY, SMTP_1_PASSWORD="", SMTP_RECEPTION_EMAIL=""))

    assert [problem.split(":")[0] for problem in told] == ["SMTP_1_PASSWORD", "SMTP_RECEPTION_EMAIL"]
