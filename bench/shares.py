"""Who spends the time of a profile: its own time by library and by package of the service. Used by `bench.profile`."""

import cProfile
import pstats
import sysconfig
from collections import Counter
from pathlib import Path

from bench import report

_ROOT = Path(__file__).parents[1]
_LIBRARIES = (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"))


def table(profile: cProfile.Profile) -> str:
    """A row for each owner of at least one per cent. What is written in C counts for whoever calls it."""
    times: Counter[str] = Counter()
    entries = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for (file, _, _), (_, _, own_s, _, callers) in entries.items():
        if not _is_in_c(file):
            times[_owner(file)] += own_s
            continue
        for (caller, _, _), figures in callers.items():
            times["C, called from C" if _is_in_c(caller) else _owner(caller)] += figures[2]
    total = sum(times.values())
    rows = [(name, f"{spent / total:.0%}") for name, spent in times.most_common() if spent >= total / 100]
    return report.table(("owner", "share"), rows)


def _is_in_c(file: str) -> bool:
    return file == "~"


def _owner(file: str) -> str:
    path = Path(file)
    if path.is_relative_to(_ROOT / "app"):
        return ".".join(path.relative_to(_ROOT).parts[:2]).removesuffix(".py")
    for library in _LIBRARIES:
        if path.is_relative_to(library):
            return path.relative_to(library).parts[0].removesuffix(".py")
    return "templates" if "template" in file else path.name
