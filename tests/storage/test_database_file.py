"""A SQLite file that is removed, moved or replaced while the service runs: nothing is promised into what is gone."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.emails.office import Office
from tests.conftest import MakeService, Service, valid_request
from tests.smtp_server import SMTPServer
from tests.test_process import running

ASYNC = {"Prefer": "respond-async"}


def remove(file: Path) -> None:
    file.unlink()


def move(file: Path) -> None:
    file.rename(file.with_suffix(".old"))


def move_all(file: Path) -> None:
    """With what SQLite keeps beside it, as somebody does who makes room."""
    target = file.parent / "moved"
    target.mkdir()
    for each in file.parent.glob("letterbox.db*"):
        each.rename(target / each.name)


def restore_a_backup(file: Path) -> None:
    """Another file takes the name, as `mv backup letterbox.db` does."""
    backup = file.with_suffix(".backup")
    with closing(sqlite3.connect(file)) as now, closing(sqlite3.connect(backup)) as then:
        now.backup(then)
    backup.rename(file)


def retarget_the_link(file: Path) -> None:
    other = file.with_suffix(".other")
    shutil.copy(file, other)
    link = file.with_suffix(".link")
    link.symlink_to(other)
    link.rename(file)


def remove_the_log(file: Path) -> None:
    Path(f"{file}-wal").unlink()


def remove_the_index_of_the_log(file: Path) -> None:
    Path(f"{file}-shm").unlink()


def remove_the_directory(file: Path) -> None:
    file.parent.rename(file.parent.with_suffix(".away"))


TROUBLES: dict[Callable[[Path], None], str] = {
    remove: "removed or moved",
    move: "removed or moved",
    move_all: "removed or moved",
    remove_the_directory: "removed or moved",
    restore_a_backup: "Another file",
    retarget_the_link: "Another file",
    remove_the_log: "letterbox.db-wal",
    remove_the_index_of_the_log: "letterbox.db-shm",
}


def service_on(make_service: MakeService, directory: Path, server: SMTPServer, *, is_link: bool = False) -> Service:
    directory.mkdir()
    if is_link:
        (directory / "letterbox.db").symlink_to(directory / "real.db")
    return make_service(
        smtp_configurations=(server.configuration(),),
        reception_email="office@example.com",
        database_url=f"sqlite:///{directory / 'letterbox.db'}",
    )


def database_check(service: Service) -> dict[str, Any]:
    answer = service.client.get("/health/ready")
    assert answer.json is not None
    check: dict[str, Any] = answer.json["checks"]["database"]
    return check | {"http": answer.status_code}


def is_refused(answer: TestResponse) -> bool:
    return answer.status_code == 503 and "Retry-After" in answer.headers


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_nothing_is_accepted_into_a_file_that_is_gone(
    make_service: MakeService, tmp_path: Path, trouble: Callable[[Path], None]
) -> None:
    directory = tmp_path / "data"
    with SMTPServer() as server:
        service = service_on(make_service, directory, server, is_link=trouble is retarget_the_link)
        assert service.post(headers=ASYNC).status_code == 202
        trouble(directory / "letterbox.db")
        assert is_refused(service.post(headers=ASYNC))
        assert is_refused(service.post(headers=ASYNC | {"Idempotency-Key": "one"}))
        found = database_check(service)
        assert found["http"] == 503
        assert TROUBLES[trouble] in found["detail"]
        assert not directory.exists() or list(directory.glob("letterbox.db")) == (
            [] if "removed or" in TROUBLES[trouble] else [directory / "letterbox.db"]
        ), "no empty file is made in its place"
        assert service.client.get("/health/live").status_code == 200
        assert server.messages == []


@pytest.mark.parametrize("place", ["file", "directory"])
def test_a_file_that_is_put_back_is_used_again(make_service: MakeService, tmp_path: Path, place: str) -> None:
    directory = tmp_path / "data"
    with SMTPServer() as server:
        service = service_on(make_service, directory, server)
        office: Office = service.app.extensions["letterbox"]
        location = service.post(headers=ASYNC).headers["Location"]
        path = directory / "letterbox.db" if place == "file" else directory
        path.rename(tmp_path / "away")
        assert is_refused(service.post(headers=ASYNC))
        assert office.database.trouble() is not None
        (tmp_path / "away").rename(path)
        assert service.post(headers=ASYNC).status_code == 202
        assert office.database.trouble() is None
        assert service.client.get(location).status_code == 200


def test_what_was_recorded_in_a_log_that_was_removed_is_saved_by_a_restart(
    make_service: MakeService, tmp_path: Path
) -> None:
    directory = tmp_path / "data"
    with SMTPServer() as server:
        service = service_on(make_service, directory, server)
        location = service.post(headers=ASYNC).headers["Location"]
        remove_the_log(directory / "letterbox.db")
        assert is_refused(service.post(headers=ASYNC))
        service.app.extensions["letterbox"].close()
        again = make_service(database_url=f"sqlite:///{directory / 'letterbox.db'}")
        assert again.client.get(location).status_code == 200
        assert again.post(headers=ASYNC).status_code == 202


def test_a_running_service_notices_and_a_restart_begins_anew(tmp_path: Path) -> None:
    directory = tmp_path / "var"
    directory.mkdir()
    with SMTPServer() as server:
        with running(directory, server) as service:
            assert service.ask("POST", "/api/v1/emails", valid_request())[0] == 201
            (directory / "letterbox.db").unlink()
            status, headers, _ = service.ask("POST", "/api/v1/emails", valid_request(), ASYNC)
            assert status == 503
            assert "retry-after" in {name.lower() for name in headers}
            status, _, body = service.ask("GET", "/health/ready")
            assert status == 503
            assert b"restart the service" in body
        with running(directory, server) as service:
            assert service.ask("POST", "/api/v1/emails", valid_request(), ASYNC)[0] == 202
