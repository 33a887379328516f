"""`python -m bench.profile`: where the CPU time of one POST goes, layer by layer.

The whole is the WSGI application in this process, called on one thread from the environ to the last octet of its answer
and sending to the real sink. Each layer is timed within it, and alone in a loop with what a real request gives it,
where it is faster, because everything is in the processor's caches. The HTTP server is what `letterbox serve` uses
under load beyond the whole, the hand-overs between its threads included. All times are CPU times, user and system.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from flask import Flask

from app import create_app
from app.observability.logs import configure_logging
from app.settings import load_settings
from bench import native, payload, report, shares, systems
from bench.layers import Layer, Loops
from bench.rounds import measure, warm_up
from bench.systems import Setting


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--posts", type=int, default=300, help="length of each loop")
    parser.add_argument("--passes", type=int, default=7, help="loops of each layer; the median is printed")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long `letterbox serve` is under load")
    options = parser.parse_args()
    print(report.machine())
    with tempfile.TemporaryDirectory(prefix="letterbox-profile-") as directory, native.sink() as sink:
        setting = Setting(directory=Path(directory) / "assembled")
        setting.directory.mkdir()
        request = payload.write_request(setting.directory)
        with _assembled(setting, sink.port) as app:
            loops = Loops(app, request, posts=options.posts)
            layers, whole_us = loops.run(options.passes)
            profile = loops.profiled()
        # In a directory of its own: the senders of the loops would have to wait.
        served = replace(setting, directory=Path(directory) / "served")
        served.directory.mkdir()
        with systems.letterbox(served, sink.port) as system:
            warm_up([system], request, connections=16, seconds=options.seconds)
            served_us = {
                connections: measure(system, sink, request, connections=connections, seconds=options.seconds).cpu_ms
                * 1000
                for connections in (1, 16)
            }
    print(_table(layers, whole_us, served_us))
    print(f"\nwho spends it (cProfile of {options.posts} whole posts, own time)\n{shares.table(profile)}")


@contextmanager
def _assembled(setting: Setting, smtp_port: int) -> Iterator[Flask]:
    """The application in this process, its log going nowhere but through everything else."""
    os.environ.update(systems.letterbox_environment(setting, smtp_port))
    with Path(os.devnull).open("w") as nowhere:
        settings = load_settings()
        configure_logging(format="json", level=settings.log_level)
        said, sys.stderr = sys.stderr, nowhere
        app = create_app(settings)
        try:
            yield app
        finally:
            app.extensions["letterbox"].close()
            sys.stderr = said


def _table(layers: Sequence[Layer], whole_us: float, served_us: dict[int, float]) -> str:
    explained = sum(layer.us for layer in layers)
    head = ("CPU of one POST", "us", "share", "us alone")
    lines = [
        (layer.name, f"{layer.us:.0f}", f"{layer.us / explained:.0%}", f"{layer.alone_us:.0f}") for layer in layers
    ]
    alone = sum(layer.alone_us for layer in layers)
    lines.append(("sum", f"{explained:.0f}", "100%", f"{alone:.0f}"))
    lines.append(("the whole application, measured without watching", f"{whole_us:.0f}", "", ""))
    for connections, us in served_us.items():
        lines.append((f"HTTP server and threads at c={connections}, the difference", f"{us - whole_us:.0f}", "", ""))
        lines.append((f"letterbox serve at c={connections}, measured", f"{us:.0f}", "", ""))
    return report.table(head, lines)


if __name__ == "__main__":
    main()
