"""Other people's programs that tests need: found, or the test skips; in CI, where all of them are, it fails."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

_PACKAGES = Path(__file__).parent / "browser"
"""Where package.json and its lock file are."""


def absent(what: str) -> NoReturn:
    """Skip the test, or fail it where nothing may be absent."""
    if "CI" in os.environ:
        pytest.fail(f"{what}, and CI is set")
    pytest.skip(what)


def program(name: str) -> str:
    """The path of an installed program."""
    # Debian keeps servers where only root looks.
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return path or absent(f"{name} is not installed")


def npm_package(name: str) -> Path:
    """The directory of a package of tests/browser/package.json, installed by the first test that asks."""
    installed = _PACKAGES / "node_modules" / ".package-lock.json"
    with (_PACKAGES / "package-lock.json").open("rb") as lock:
        # Several processes of the tests may ask at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < Path(lock.name).stat().st_mtime:
            command = [program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            result = subprocess.run(command, cwd=_PACKAGES, capture_output=True, text=True, check=False, timeout=120)
            if result.returncode != 0:
                absent(f"npm cannot install {name}: {result.stderr.strip()[-300:]}")
            # npm may leave it as it was.
            installed.touch()
    return _PACKAGES / "node_modules" / name
