"""Creating, reading, updating and deleting forms: keys, names, projects, the audit."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.emails.office import Office
from app.errors import FormExists, FormInvalid, FormNotFound, ProjectNotFound
from app.forms import manage
from app.forms.fields import public_fields
from app.forms.find import default_form, find_form, new_key
from app.forms.manage import Owner
from app.model.form import Form, HumanCheck
from app.settings import Settings
from app.storage import projects
from tests.forms.owning import SMTP, acts, create, form_body, make_owner, names, opened

EVERYTHING: dict[str, Any] = {
    "recipients": ["sales@example.com", "boss@example.com"],
    "smtpId": 1,
    "template": "Professional",
    "subject": "Contact: {Username}",
    "requiredFields": ["email", "Your message"],
    "allowedOrigins": ["https://www.example.com", "http://localhost:3000"],
    "redirectTargets": ["https://shop.example.com/thanks?from=form"],
    "submissionsPerHour": 7,
    "acceptsFiles": False,
    "check": "altcha",
    "needsToken": True,
    "minAgeSeconds": 0,
    "confirmation": True,
    "enabled": False,
}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def office(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[Office]:
    with opened(database_url, tmp_path, clock=clock) as office:
        yield office


@pytest.fixture
def owner(office: Office) -> Owner:
    return make_owner(office)


def test_a_form_is_read_as_it_was_created_by_name_and_by_key(office: Office, owner: Owner, clock: Clock) -> None:
    created = create(office, owner, "Contact", **EVERYTHING)
    assert created == Form(
        key=created.key,
        name="Contact",
        project_id=owner.project_id,
        recipients=("sales@example.com", "boss@example.com"),
        smtp_id=1,
        template="Professional",
        subject="Contact: {Username}",
        required_fields=("email", "Your message"),
        allowed_origins=("https://www.example.com", "http://localhost:3000"),
        redirect_targets=("https://shop.example.com/thanks?from=form",),
        submissions_per_hour=7,
        accepts_files=False,
        check=HumanCheck.ALTCHA,
        needs_token=True,
        min_age_s=0,
        confirms=True,
        is_enabled=False,
        created_at=clock.now,
        updated_at=clock.now,
    )
    assert manage.get_form(office, owner, "CONTACT") == created
    assert find_form(office, created.key) == created
    assert public_fields(created).items() >= EVERYTHING.items()


def test_what_is_not_given_has_the_defaults_of_a_form(office: Office, owner: Owner, clock: Clock) -> None:
    created = create(office, owner)
    assert created == Form(
        key=created.key,
        name="contact",
        project_id=owner.project_id,
        recipients=("office@example.com",),
        allowed_origins=("https://www.example.com",),
        created_at=clock.now,
        updated_at=clock.now,
    )


def test_keys_are_readable_public_and_not_to_be_guessed() -> None:
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    for key in keys:
        assert re.fullmatch("[a-hjkmnp-z][a-hjkmnp-z2-9]{19}", key)


def test_every_form_has_a_key_of_its_own(office: Office, owner: Owner) -> None:
    first, second = create(office, owner, "one"), create(office, owner, "two")
    assert first.key != second.key
    assert find_form(office, second.key).name == "two"


@pytest.mark.parametrize(
    "key",
    ["", "absent", "Default", "a" * 15, "a" * 20, "a" * 33, "1" * 20, "../../etc/passwd-x", "a\x00" * 10, "é" * 20],
)
def test_a_key_that_no_form_has_is_not_found(office: Office, key: str) -> None:
    with pytest.raises(FormNotFound) as raised:
        find_form(office, key)
    assert raised.value.name == key


def test_what_no_key_can_be_is_not_asked_of_the_database(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.storage.forms.find", lambda *_: pytest.fail("the database was asked"))
    for key in ("", "short", "UPPERCASEUPPERCASE", "a\x00" * 10):
        with pytest.raises(FormNotFound):
            find_form(office, key)


def test_the_default_form_is_what_the_settings_say(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path, cors_origins=("https://www.example.com",)) as office:
        assert find_form(office, "default") == Form(
            key="default",
            name="Contact form",
            recipients=("office@example.com",),
            allowed_origins=("https://www.example.com",),
        )


def test_the_default_form_is_there_when_mail_has_somewhere_to_go() -> None:
    assert default_form(Settings(smtp_configurations=(SMTP,), reception_email="a@example.com")) is not None
    assert default_form(Settings(reception_email="a@example.com")) is not None, "the embedded inbox counts"
    assert default_form(Settings(reception_email="a@example.com", environment="production")) is None
    assert default_form(Settings(smtp_configurations=(SMTP,))) is None


def test_forms_are_listed_by_name_without_case(office: Office, owner: Owner) -> None:
    for name in ("beta", "Alpha", "gamma"):
        create(office, owner, name)
    assert names(office, owner) == ["Alpha", "beta", "gamma"]


def test_a_name_is_taken_without_case_and_only_in_its_project(office: Office, owner: Owner) -> None:
    create(office, owner, "contact")
    with pytest.raises(FormExists, match="Form 'CONTACT' already exists"):
        create(office, owner, "CONTACT")
    other = make_owner(office, "Other")
    create(office, other, "Contact")
    assert (names(office, owner), names(office, other)) == (["contact"], ["Contact"])


def test_another_projects_forms_are_not_there(office: Office, owner: Owner) -> None:
    create(office, owner)
    other = make_owner(office, "Other")
    deeds: list[Callable[[], object]] = [
        lambda: manage.get_form(office, other, "contact"),
        lambda: manage.update_form(office, other, "contact", form_body()),
        lambda: manage.delete_form(office, other, "contact"),
    ]
    for deed in deeds:
        with pytest.raises(FormNotFound, match="Form 'contact' not found"):
            deed()
    assert names(office, owner) == ["contact"]


@pytest.mark.parametrize("name", ["", " ", "a/b", "x" * 101, "a\x00b", "\udcff"])
def test_what_is_no_name_is_refused_and_never_found(office: Office, owner: Owner, name: str) -> None:
    with pytest.raises(FormInvalid) as raised:
        create(office, owner, name)
    assert set(raised.value.errors) == {"name"}
    for deed in (manage.get_form, manage.delete_form, partial(manage.update_form, body=form_body())):
        with pytest.raises(FormNotFound):
            deed(office, owner, name)


def test_an_update_replaces_everything_but_the_key(office: Office, owner: Owner, clock: Clock) -> None:
    created = create(office, owner, **EVERYTHING)
    clock.now += timedelta(minutes=5)
    updated = manage.update_form(office, owner, "CONTACT", form_body(recipients=["new@example.com"]))
    assert updated == manage.get_form(office, owner, "contact") == find_form(office, created.key)
    assert updated == Form(
        key=created.key,
        name="contact",
        project_id=owner.project_id,
        recipients=("new@example.com",),
        allowed_origins=("https://www.example.com",),
        created_at=created.created_at,
        updated_at=clock.now,
    )


def test_what_was_read_can_be_written_back(office: Office, owner: Owner) -> None:
    created = create(office, owner, **EVERYTHING)
    updated = manage.update_form(office, owner, "contact", public_fields(created) | {"submissionsPerHour": 8})
    assert public_fields(updated) == public_fields(created) | {"submissionsPerHour": 8}
    assert acts(office)[-1] == ("deploy-bot", "update-form", "contact", ("submissionsPerHour",))


def test_the_key_cannot_be_chosen_or_changed(office: Office, owner: Owner) -> None:
    with pytest.raises(FormInvalid, match="The key of a form cannot be chosen or changed"):
        create(office, owner, key="my-own-key")
    created = create(office, owner)
    with pytest.raises(FormInvalid) as raised:
        manage.update_form(office, owner, "contact", form_body(key=new_key()))
    assert set(raised.value.errors) == {"key"}
    assert manage.get_form(office, owner, "contact") == created


def test_a_rename_frees_the_old_name_and_keeps_the_key(office: Office, owner: Owner) -> None:
    before = create(office, owner, "old")
    after = manage.update_form(office, owner, "old", form_body(name="New"))
    assert (after.key, after.name) == (before.key, "New")
    assert names(office, owner) == ["New"]
    manage.update_form(office, owner, "new", form_body(name="NEW"))
    create(office, owner, "old")
    assert names(office, owner) == ["NEW", "old"]


def test_a_rename_onto_a_name_that_is_taken_changes_nothing(office: Office, owner: Owner) -> None:
    create(office, owner, "one")
    create(office, owner, "two")
    with pytest.raises(FormExists, match="Form 'TWO' already exists"):
        manage.update_form(office, owner, "one", form_body(name="TWO", submissionsPerHour=1))
    assert names(office, owner) == ["one", "two"]
    assert manage.get_form(office, owner, "one").submissions_per_hour == 100


def test_a_wrong_body_changes_nothing(office: Office, owner: Owner) -> None:
    before = create(office, owner)
    with pytest.raises(FormInvalid):
        manage.update_form(office, owner, "contact", form_body(submissionsPerHour=0))
    with pytest.raises(FormInvalid):
        create(office, owner, "other", submissionsPerHour=0)
    assert manage.list_forms(office, owner) == [before]
    assert [action for _, action, *_ in acts(office)] == ["create-form"]


def test_an_update_of_what_is_not_there_says_so_before_it_judges_the_body(office: Office, owner: Owner) -> None:
    with pytest.raises(FormNotFound):
        manage.update_form(office, owner, "contact", {})


def test_what_was_deleted_is_gone_for_its_owner_and_for_visitors(office: Office, owner: Owner) -> None:
    created = create(office, owner)
    assert manage.delete_form(office, owner, "CONTACT") == created
    deeds: list[Callable[[], object]] = [
        lambda: manage.get_form(office, owner, "contact"),
        lambda: manage.delete_form(office, owner, "contact"),
        lambda: find_form(office, created.key),
    ]
    for deed in deeds:
        with pytest.raises(FormNotFound):
            deed()
    assert create(office, owner).key != created.key


def test_a_project_that_is_gone_has_no_forms_and_gets_none(office: Office, owner: Owner) -> None:
    created = create(office, owner)
    office.database.write(lambda connection: projects.remove(connection, owner.project_id))
    with pytest.raises(FormNotFound):
        find_form(office, created.key)
    with pytest.raises(ProjectNotFound):
        create(office, owner, "another")


def test_every_change_is_on_record_with_the_names_of_its_fields(office: Office, owner: Owner) -> None:
    create(office, owner)
    manage.update_form(office, owner, "contact", form_body(name="renamed", enabled=False))
    manage.delete_form(office, owner, "renamed")
    created, updated, deleted = acts(office)
    assert created[:3] == ("deploy-bot", "create-form", "contact")
    assert {"name", "recipients", "allowedOrigins"} <= set(created[3])
    assert updated == ("deploy-bot", "update-form", "contact", ("name", "enabled"))
    assert deleted == ("deploy-bot", "delete-form", "renamed", ())
