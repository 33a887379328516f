"""Several writers at one moment, in two processes: one wins, the others are told, nothing is half written."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from app.emails.office import Office
from app.errors import FormExists, FormNotFound, LetterboxError
from app.forms import manage
from app.model.form import Form
from tests.forms.owning import acts, create, form_body, make_owner, names, opened


@pytest.fixture
def offices(database_url: str, tmp_path: Path) -> Iterator[tuple[Office, Office]]:
    """Two processes on one database."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(opened(database_url, tmp_path)) for _ in range(2))
        yield first, second


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """Run all of them in threads of their own, from one moment on; what each returned or raised."""
    barrier = threading.Barrier(len(deeds))
    ends: list[object] = [None] * len(deeds)

    def run(position: int) -> None:
        barrier.wait()
        try:
            ends[position] = deeds[position]()
        except LetterboxError as error:
            ends[position] = error

    threads = [threading.Thread(target=run, args=(position,)) for position in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def test_of_many_who_create_one_name_at_once_one_wins(offices: tuple[Office, Office]) -> None:
    owner = make_owner(offices[0])
    ends = at_once(*(partial(create, offices[number % 2], owner) for number in range(20)))
    (winner,) = [end for end in ends if isinstance(end, Form)]
    assert sum(isinstance(end, FormExists) for end in ends) == 19
    assert manage.list_forms(offices[0], owner) == [winner]
    assert [action for _, action, *_ in acts(offices[0])] == ["create-form"]


def test_of_two_renames_onto_one_name_one_wins(offices: tuple[Office, Office]) -> None:
    owner = make_owner(offices[0])
    for name in ("one", "two"):
        create(offices[0], owner, name)
    ends = at_once(
        lambda: manage.update_form(offices[0], owner, "one", form_body(name="three")),
        lambda: manage.update_form(offices[1], owner, "two", form_body(name="three")),
    )
    assert sum(isinstance(end, FormExists) for end in ends) == 1
    assert sum(isinstance(end, Form) for end in ends) == 1
    assert "three" in names(offices[0], owner)


def test_an_update_that_races_a_delete_does_not_bring_the_form_back(offices: tuple[Office, Office]) -> None:
    owner = make_owner(offices[0])
    for number in range(5):
        name = f"form-{number}"
        create(offices[0], owner, name)
        updated, deleted = at_once(
            partial(manage.update_form, offices[0], owner, name, form_body()),
            partial(manage.delete_form, offices[1], owner, name),
        )
        assert isinstance(deleted, Form)
        assert isinstance(updated, Form | FormNotFound)
    assert names(offices[0], owner) == []
