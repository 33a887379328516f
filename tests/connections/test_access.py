"""Projects, tokens and clients on both databases: who gets in, for how long, and what the audit says of it."""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import compare_digest

import pytest
from sqlalchemy import Connection, select

from app.connections import access
from app.connections.access import ClientCredential
from app.connections.projects import (
    create_project,
    delete_project,
    find_project,
    list_audit,
    list_projects,
    project_contents,
)
from app.connections.registry import Registry
from app.errors import ClientRejected, LetterboxError, ProjectExists, ProjectNotFound, RequestInvalid, TokenInvalid
from app.model.access import Permission
from app.settings import Settings
from app.storage import connections, projects
from app.storage.connections import ConnectionRow
from app.storage.database import Database
from app.storage.schema import migrate
from app.storage.tables import access_tokens, audit_entries, clients

SEND, VIEW, MANAGE = Permission.EMAILS_SEND, Permission.EMAILS_VIEW, Permission.CONNECTIONS_MANAGE


class StandingClock:
    """The time is what the test says."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


def _open(database: Database, clock: StandingClock, tmp_path: Path) -> Registry:
    settings = Settings(var_dir=tmp_path, secret_keys=("k" * 32,))
    return Registry.open(settings, database=database, clock=clock, retire=lambda _: None)


@pytest.fixture
def registry(database_url: str, clock: StandingClock, tmp_path: Path) -> Iterator[Registry]:
    database = Database(database_url)
    migrate(database)
    yield _open(database, clock, tmp_path)
    database.close()


@pytest.fixture
def other(registry: Registry, database_url: str, clock: StandingClock, tmp_path: Path) -> Iterator[Registry]:
    """Another process on the same database."""
    database = Database(database_url)
    yield _open(database, clock, tmp_path)
    database.close()


def _acts(registry: Registry, project: str | None = None) -> list[tuple[str, str, str]]:
    return [(entry.actor, entry.action, entry.subject) for entry in list_audit(registry, project)]


def _at_once(work: Callable[[int], object], *, times: int) -> list[LetterboxError]:
    """Run it that many times, all starting at the same moment; what they raised."""
    raised: list[LetterboxError] = []
    barrier = threading.Barrier(times)

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except LetterboxError as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_a_token_is_its_callers_project_name_and_permissions(registry: Registry) -> None:
    token = access.create_token(registry, project="Monitoring", permissions=[SEND, VIEW], name="backup job")

    assert re.fullmatch(r"lbx_[A-Za-z0-9_-]{43}", token)
    caller = registry.live.caller(token)
    assert (caller.project, caller.token_name, caller.permissions) == (
        "Monitoring",
        "backup job",
        frozenset({SEND, VIEW}),
    )
    (listed,) = access.list_tokens(registry, "monitoring")
    assert (listed.id, listed.name, listed.project) == (caller.token_id, "backup job", "Monitoring")
    assert listed.expires_at is listed.revoked_at is None


def test_the_token_and_the_secret_are_nowhere_in_the_database(registry: Registry) -> None:
    token = access.create_token(registry, project="P", permissions=[SEND])
    credential = access.create_client(registry, project="P", permissions=[SEND])
    issued = access.exchange(registry, client_id=credential.client_id, client_secret=credential.client_secret)

    tables = (access_tokens, clients, audit_entries)
    stored = str([registry.database.read(lambda c, t=table: c.execute(select(t)).all()) for table in tables])  # type: ignore[misc]
    assert "create-token" in stored
    for secret in (token, credential.client_secret, issued.access_token):
        assert secret not in stored
        assert secret not in repr((credential, issued))


def test_a_token_without_a_name_gets_one_of_its_own(registry: Registry) -> None:
    for _ in range(3):
        access.create_token(registry, project="P", permissions=[SEND])

    names = {token.name for token in access.list_tokens(registry)}
    assert len(names) == 3
    assert all(re.fullmatch("token [0-9a-f]{6}", name) for name in names)


def test_an_expired_token_is_worthless_to_the_second(registry: Registry, clock: StandingClock) -> None:
    token = access.create_token(registry, project="P", permissions=[SEND], expires_in=timedelta(minutes=90))
    clock.now += timedelta(minutes=89, seconds=59)
    assert registry.live.caller(token).project == "P"
    clock.now += timedelta(seconds=1)
    with pytest.raises(TokenInvalid):
        registry.live.caller(token)


def test_a_revoked_token_is_worthless_from_the_next_request_on_everywhere(registry: Registry, other: Registry) -> None:
    token = access.create_token(registry, project="P", permissions=[SEND])
    token_id = other.live.caller(token).token_id
    registry.live.caller(token)

    revoked = access.revoke_token(registry, token_id)

    assert revoked is not None
    assert revoked.revoked_at == registry.clock()
    for process in (registry, other):
        with pytest.raises(TokenInvalid):
            process.live.caller(token)


def test_what_is_not_there_is_not_revoked(registry: Registry) -> None:
    assert access.revoke_token(registry, 7) is None
    for client_id in ("lbc_nobody", "", "nul\0", "\udcff", "x" * 1000):
        assert access.revoke_client(registry, client_id) is None
    assert list_audit(registry) == []


@pytest.mark.parametrize(
    ("changes", "property_at_fault"),
    [
        ({"project": " "}, "project"),
        ({"project": "a/b"}, "project"),
        ({"project": "nul\0"}, "project"),
        ({"name": "x" * 101}, "name"),
        ({"name": "line\nbreak"}, "name"),
        ({"permissions": []}, "permissions"),
        ({"expires_in": timedelta(0)}, "expires_in"),
        ({"expires_in": timedelta(days=-1)}, "expires_in"),
        ({"expires_in": timedelta.max}, "expires_in"),
    ],
)
def test_a_bad_token_is_refused_and_leaves_nothing(
    registry: Registry, changes: dict[str, object], property_at_fault: str
) -> None:
    arguments: dict[str, object] = {"project": "P", "permissions": [SEND]} | changes
    with pytest.raises(RequestInvalid) as invalid:
        access.create_token(registry, **arguments)  # type: ignore[arg-type]
    assert list(invalid.value.errors) == [property_at_fault]
    assert list_projects(registry) == []


def test_of_many_tokens_for_a_missing_project_at_once_each_is_good_and_one_makes_the_project(
    registry: Registry, other: Registry
) -> None:
    tokens: list[str] = []

    def create(number: int) -> None:
        process, name = (registry, "alpha") if number % 2 else (other, "ALPHA")
        tokens.append(access.create_token(process, project=name, permissions=[SEND]))

    assert _at_once(create, times=50) == []

    assert len(list_projects(registry)) == 1
    assert {registry.live.caller(token).project_id for token in tokens} == {list_projects(registry)[0].id}
    assert len(set(tokens)) == 50
    assert [action for _, action, _ in _acts(registry)].count("create-project") == 1


def test_a_token_waits_for_the_project_that_another_process_is_just_making(registry: Registry, other: Registry) -> None:
    tokens: list[str] = []
    maker = threading.Thread(
        target=lambda: tokens.append(access.create_token(registry, project="alpha", permissions=[SEND]))
    )

    def make_slowly(connection: Connection) -> None:
        projects.add(connection, name="Alpha", now_ms=0)
        maker.start()
        maker.join(timeout=0.1)

    other.database.write(make_slowly)
    maker.join()

    assert registry.live.caller(tokens[0]).project == "Alpha"


def test_of_many_equal_projects_at_once_one_is_made(registry: Registry, other: Registry) -> None:
    raised = _at_once(lambda number: create_project((registry, other)[number % 2], "Alpha"), times=50)

    assert [type(error) for error in raised] == [ProjectExists] * 49
    assert [project.name for project in list_projects(registry)] == ["Alpha"]


def test_projects_are_found_without_case_and_kept_as_written(registry: Registry) -> None:
    create_project(registry, "Straße")

    assert find_project(registry, "STRASSE").name == "Straße"
    with pytest.raises(ProjectExists, match="'strasse' already exists"):
        create_project(registry, "strasse")
    for missing in ("Strasze", "", "nul\0", "\udcff", "x" * 1000):
        with pytest.raises(ProjectNotFound):
            find_project(registry, missing)
        with pytest.raises(ProjectNotFound):
            delete_project(registry, missing)
        with pytest.raises(ProjectNotFound):
            access.list_tokens(registry, missing)


def test_deleting_a_project_takes_its_tokens_clients_and_connections(registry: Registry, other: Registry) -> None:
    token = access.create_token(registry, project="P", permissions=[MANAGE])
    kept = access.create_token(registry, project="Other", permissions=[MANAGE])
    credential = access.create_client(registry, project="P", permissions=[SEND])
    issued = access.exchange(other, client_id=credential.client_id, client_secret=credential.client_secret)
    row = ConnectionRow(
        id=0,
        project_id=find_project(registry, "P").id,
        type="kafka",
        name="c",
        deploy_to_worker=True,
        enabled=True,
        sealed="",
    )
    registry.database.write(lambda connection: connections.add(connection, row, now_ms=0))
    for shown in (token, issued.access_token):
        assert other.live.caller(shown).project == "P"
    contents = project_contents(registry, "p")
    assert (contents.connections, contents.tokens, contents.clients) == (1, 1, 1)

    assert delete_project(registry, "p").name == "P"

    for shown in (token, issued.access_token):
        with pytest.raises(TokenInvalid):
            other.live.caller(shown)
    with pytest.raises(ClientRejected):
        access.exchange(other, client_id=credential.client_id, client_secret=credential.client_secret)
    assert registry.database.read(connections.every) == []
    assert other.live.caller(kept).project == "Other"


def test_a_project_that_comes_again_inherits_nothing(registry: Registry) -> None:
    token = access.create_token(registry, project="P", permissions=[SEND])
    former = find_project(registry, "P").id
    delete_project(registry, "P")
    create_project(registry, "P")

    assert find_project(registry, "P").id > former
    with pytest.raises(TokenInvalid):
        registry.live.caller(token)


def test_a_client_exchanges_its_credentials_for_an_hour(registry: Registry, clock: StandingClock) -> None:
    credential = access.create_client(registry, project="P", permissions=[MANAGE], name="deploy job")
    issued = access.exchange(registry, client_id=credential.client_id, client_secret=credential.client_secret)

    assert issued.expires_in == 3600
    caller = registry.live.caller(issued.access_token)
    assert (caller.token_name, caller.project, caller.permissions) == ("deploy job", "P", frozenset({MANAGE}))
    assert access.list_tokens(registry) == [], "what a client gets for itself is not an operator's"
    clock.now += timedelta(hours=1)
    with pytest.raises(TokenInvalid):
        registry.live.caller(issued.access_token)


def test_wrong_credentials_are_rejected_alike(registry: Registry) -> None:
    credential = access.create_client(registry, project="P", permissions=[SEND])
    wrong = [
        ClientCredential(client_id=client_id, client_secret=secret)
        for client_id, secret in [
            (credential.client_id, ""),
            (credential.client_id, f"{credential.client_secret}x"),
            (credential.client_id, "\udcff"),
            (f"{credential.client_id}x", credential.client_secret),
            (credential.client_id.upper(), credential.client_secret),
            ("", ""),
            ("nul\0", credential.client_secret),
            ("x" * 10_000, credential.client_secret),
            ("' OR 1=1 --", credential.client_secret),
        ]
    ]
    for shown in wrong:
        with pytest.raises(ClientRejected, match=r"^Bad credentials$"):
            access.exchange(registry, client_id=shown.client_id, client_secret=shown.client_secret)
    assert "issue-token" not in str(_acts(registry))


def test_a_revoked_client_takes_its_tokens_with_it(registry: Registry, other: Registry) -> None:
    credential = access.create_client(registry, project="P", permissions=[SEND])
    issued = access.exchange(registry, client_id=credential.client_id, client_secret=credential.client_secret)
    assert other.live.caller(issued.access_token).project == "P"

    revoked = access.revoke_client(registry, credential.client_id)

    assert revoked is not None
    assert revoked.revoked_at == registry.clock()
    with pytest.raises(TokenInvalid):
        other.live.caller(issued.access_token)
    with pytest.raises(ClientRejected):
        access.exchange(other, client_id=credential.client_id, client_secret=credential.client_secret)


def test_a_client_that_is_revoked_while_it_is_judged_gets_nothing(
    registry: Registry, other: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = access.create_client(registry, project="P", permissions=[SEND])

    def revoke_and_judge(shown: str, stored: str) -> bool:
        access.revoke_client(other, credential.client_id)
        return compare_digest(shown, stored)

    monkeypatch.setattr("app.connections.access.compare_digest", revoke_and_judge)
    with pytest.raises(ClientRejected):
        access.exchange(registry, client_id=credential.client_id, client_secret=credential.client_secret)
    assert registry.database.read(lambda connection: connection.execute(select(access_tokens)).all()) == []


def test_a_client_whose_project_is_deleted_while_it_is_judged_gets_nothing(
    registry: Registry, other: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = access.create_client(registry, project="P", permissions=[SEND])

    def delete_and_judge(shown: str, stored: str) -> bool:
        delete_project(other, "P")
        return compare_digest(shown, stored)

    monkeypatch.setattr("app.connections.access.compare_digest", delete_and_judge)
    with pytest.raises(ClientRejected):
        access.exchange(registry, client_id=credential.client_id, client_secret=credential.client_secret)


def test_every_change_is_in_the_audit(registry: Registry) -> None:
    create_project(registry, "P")
    access.create_token(registry, project="p", permissions=[SEND, VIEW], name="ci")
    access.revoke_token(registry, access.list_tokens(registry)[0].id)
    credential = access.create_client(registry, project="P", permissions=[MANAGE], name="deploy")
    access.exchange(registry, client_id=credential.client_id, client_secret=credential.client_secret)
    access.revoke_client(registry, credential.client_id)
    delete_project(registry, "P")
    create_project(registry, "p")
    create_project(registry, "Q")

    assert _acts(registry, "P") == [
        ("command line", "create-project", "P"),
        ("command line", "create-token", "ci"),
        ("command line", "revoke-token", "ci"),
        ("command line", "create-client", "deploy"),
        ("deploy", "issue-token", credential.client_id),
        ("command line", "revoke-client", "deploy"),
        ("command line", "delete-project", "P"),
        ("command line", "create-project", "p"),
    ]
    assert len(_acts(registry)) == 9
    assert list_audit(registry)[1].fields == ("EMAILS:SEND", "EMAILS:VIEW")
    assert list_audit(registry)[1].at == registry.clock()
    with pytest.raises(ProjectNotFound):
        list_audit(registry, "unknown")
