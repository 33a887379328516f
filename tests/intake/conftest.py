"""The intake in an application of its own: real requests in, and what would be submitted is looked at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import pages, web
from app.emails.office import Office
from app.errors import FormNotFound
from app.forms.recognition import recognise
from app.forms.redirects import wanted_redirect
from app.forms.submission import Receipt, Recognised, Submission, Visitor
from app.intake import checks, receiving
from app.model.form import Form
from app.settings import GuardSettings, Settings
from app.web import own_url

ORIGIN = "https://www.example.com"
PAGE = f"{ORIGIN}/contact"
BROWSER = {
    "Origin": ORIGIN,
    "Referer": PAGE,
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
}
FORM = Form(key="contact", name="Contact", recipients=("office@example.com",), allowed_origins=(ORIGIN,))


@dataclass
class Counter:
    """Takes submissions as the use case does, without storing them; `trouble` is raised instead."""

    form: Form = FORM
    trouble: Exception | None = None
    submissions: list[Submission] = field(default_factory=list)
    recognised: list[Recognised] = field(default_factory=list)
    visitors: list[Visitor] = field(default_factory=list)
    client: FlaskClient = field(init=False)
    office: Office = field(init=False)

    def find(self, _: Office, key: str) -> Form:
        if key != self.form.key:
            raise FormNotFound(key)
        return self.form

    def submit(self, _: Office, form: Form, submission: Submission, visitor: Visitor) -> Receipt:
        self.visitors.append(visitor)
        if self.trouble is not None:
            raise self.trouble
        self.recognised.append(recognise(submission, form))
        self.submissions.append(submission)
        return Receipt(reference="A3F2B1C9", redirect=wanted_redirect(form, submission, visitor))

    def changed(self, **changes: Any) -> None:
        """With another form."""
        self.form = replace(self.form, **changes)

    def post(self, data: Any = None, *, headers: dict[str, str] | None = None, **request: Any) -> Any:
        """As a browser posts a page's form."""
        return self.client.post("/forms/contact", data=data, headers=BROWSER | (headers or {}), **request)


MakeCounter = Callable[..., Counter]


@pytest.fixture
def make_counter(tmp_path: Path) -> Iterator[MakeCounter]:
    offices: list[Office] = []

    def make(**guards: Any) -> Counter:
        settings = Settings(
            var_dir=tmp_path,
            database_url=f"sqlite:///{tmp_path / 'letterbox.db'}",
            secret_keys=("a secret key that is long enough for a test",),
            guards=GuardSettings(rate_limit_enabled=False, **guards),
        )
        counter = Counter()
        counter.office = Office.open(settings)
        offices.append(counter.office)
        app = Flask(__name__, static_folder=None)
        web.register(app, counter.office)
        pages.register(app, settings=settings, inbox=None)
        app.register_blueprint(checks.create(counter.office, find=counter.find))
        app.register_blueprint(receiving.create(counter.office, find=counter.find, submit=counter.submit))
        own_url.register(app, settings)
        counter.client = app.test_client()
        return counter

    yield make
    for office in offices:
        office.close()


@pytest.fixture
def counter(make_counter: MakeCounter) -> Counter:
    return make_counter()
