"""Processes and their connections as Linux shows them under /proc."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether it runs; one that is dead and not yet waited for does not."""
    try:
        return _state(Path(f"/proc/{pid}"))[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def members(leader: int) -> list[int]:
    """All processes of a process group, those that are dead included."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdecimal() and int(_state(entry)[2]) == leader:
                found.append(int(entry.name))
    return found


def owner(pids: Iterable[int], *, local_port: int, remote_port: int) -> int | None:
    """Which of these processes has the connection with these ports on loopback."""
    socket = f"socket:[{_inode(local_port, remote_port)}]"
    return next((pid for pid in pids if socket in _open_files(pid)), None)


def _state(entry: Path) -> list[str]:
    """State, parent, group, and what follows. The name before them may contain anything."""
    return (entry / "stat").read_text().rpartition(")")[2].split()


def _inode(local_port: int, remote_port: int) -> str:
    ends = [f"0100007F:{port:04X}" for port in (local_port, remote_port)]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if columns[1:3] == ends:
            return columns[9]
    return ""


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(str(descriptor.readlink()))
    return found
