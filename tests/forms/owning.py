"""What the tests about the management of forms share: offices on one database, owners, and a valid body."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.emails.office import Office
from app.forms import manage
from app.forms.manage import Owner
from app.model.clock import Clock, utc_now
from app.model.form import Form
from app.model.smtp import Account, SMTPConfiguration
from app.settings import Settings
from app.storage import audit, projects
from app.storage.schema import migrate
from tests.conftest import share_clock

SMTP = SMTPConfiguration(index=1, host="smtp.example.com", port=587, account=Account("web@example.com", "", None))


@contextmanager
def opened(database_url: str, directory: Path, *, clock: Clock = utc_now, **changes: Any) -> Iterator[Office]:
    """An office as one more process opens it; keywords change the settings."""
    known: dict[str, Any] = {
        "var_dir": directory,
        "database_url": database_url,
        "secret_keys": ("the key of these tests, long enough",),
        "smtp_configurations": (SMTP,),
        "reception_email": "office@example.com",
    }
    office = Office.open(Settings(**(known | changes)), clock=clock)
    if clock is not utc_now:
        share_clock(office)
    try:
        migrate(office.database)
        yield office
    finally:
        office.close()


def make_owner(office: Office, project: str = "MyProject") -> Owner:
    project_id = office.database.write(lambda connection: projects.add(connection, name=project, now_ms=0))
    assert project_id is not None
    return Owner(project_id=project_id, project=project, actor="deploy-bot")


def form_body(**fields: Any) -> dict[str, Any]:
    """A valid body; keywords add and replace fields, None leaves one out."""
    body = {"recipients": ["office@example.com"], "allowedOrigins": ["https://www.example.com"]}
    return {name: value for name, value in (body | fields).items() if value is not None}


def create(office: Office, owner: Owner, name: str = "contact", **fields: Any) -> Form:
    return manage.create_form(office, owner, name, form_body(**fields))


def names(office: Office, owner: Owner) -> list[str]:
    return [form.name for form in manage.list_forms(office, owner)]


def acts(office: Office) -> list[tuple[str, str, str, tuple[str, ...]]]:
    entries = office.database.read(audit.every)
    return [(entry.actor, entry.action, entry.subject, entry.fields) for entry in entries]
