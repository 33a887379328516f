"""The key that a development machine makes for itself."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.errors import SettingsInvalid
from app.settings import load_settings
from app.settings.secret_key import kept_secret_key
from tests.settings.environment import NO_FILE


def keys(var_dir: Path) -> tuple[str, ...]:
    return load_settings(NO_FILE | {"VAR_DIR": str(var_dir)}).secret_keys


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    (first,) = keys(tmp_path / "var")

    assert len(first) >= 32
    assert keys(tmp_path / "var") == (first,)
    assert stat.S_IMODE((tmp_path / "var" / "secret_key").stat().st_mode) == 0o600


def test_starts_at_the_same_moment_agree_on_one_key(tmp_path: Path) -> None:
    # Threads stand for processes: the lock belongs to the opened file, and each opens it anew.
    for attempt in range(20):
        with ThreadPoolExecutor(8) as pool:
            made = set(pool.map(kept_secret_key, [tmp_path / f"secret_key_{attempt}"] * 8))
        assert len(made) == 1


def test_a_file_left_empty_by_a_crash_is_filled(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()

    assert len(keys(tmp_path)[0]) >= 32


@pytest.mark.parametrize("content", [b"canary-key", b"\xff" * 40])
def test_a_kept_key_that_cannot_be_used_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret_key").write_bytes(content)

    with pytest.raises(SettingsInvalid, match="SECRET_KEY: found") as caught:
        keys(tmp_path)
    assert "canary-key" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file, not a directory")

    with pytest.raises(SettingsInvalid, match="SECRET_KEY: found nothing"):
        keys(tmp_path / "var")


def test_nothing_is_written_while_there_are_other_problems(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid):
        load_settings(NO_FILE | {"VAR_DIR": str(tmp_path / "var"), "PORT": "x"})

    assert not (tmp_path / "var").exists()
