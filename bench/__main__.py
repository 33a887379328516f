"""`make bench` and `make bench-quick`: the service beside its peers, on loopback, counted at an SMTP sink.

The service runs as the README says, with every guard on (limits raised so that one client may send this much) and its
durable record; the peers have neither. All get the same requests and send mails of the same content.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import attachment, comparison, million, report, systems
from bench.certificate import make_certificate
from bench.rounds import Plan
from bench.systems import Setting

_FULL = Plan(warm_up_s=10, run_s=4, rounds=5)
_QUICK = Plan(warm_up_s=5, run_s=4, rounds=3)
_TINY = Plan(warm_up_s=0.2, run_s=0.2, rounds=1)
_SECTIONS = ("loopback", "delay", "attachment", "million")


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    plan = _TINY if options.tiny else _QUICK if options.quick else _FULL
    names = options.systems or (["letterbox", "fastify"] if options.quick else list(systems.SYSTEMS))
    chosen = options.only or (["loopback"] if options.quick else list(_SECTIONS))
    try:
        systems.install(names)
        with tempfile.TemporaryDirectory(prefix="letterbox-bench-") as directory:
            _run(options, Path(directory), names, chosen, plan)
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _run(options: argparse.Namespace, directory: Path, names: list[str], chosen: list[str], plan: Plan) -> None:
    setting = Setting(
        directory=directory,
        processes=options.processes,
        certificate=make_certificate(directory) if options.tls else None,
        log_level=options.log_level,
    )
    concurrencies = options.concurrency or ((16, 64) if options.quick else (1, 16, 64))
    print(report.machine())
    print(
        f"{options.processes} process(es) each, {'STARTTLS and AUTH' if options.tls else 'no TLS, no AUTH'}; ", end=""
    )
    print(f"medians of {plan.rounds} rounds of {plan.run_s:g} s that alternate, ratios to {report.REFERENCE}")
    print(comparison.sink_capacity(directory, seconds=min(1.0, plan.run_s), octets=8000), flush=True)
    sections: dict[str, tuple[str, Callable[[], str]]] = {
        "loopback": (
            "on loopback",
            lambda: comparison.compare(setting, names, concurrencies=concurrencies, plan=plan),
        ),
        "delay": (
            f"behind a server that is {options.delay_ms:g} ms away",
            lambda: comparison.compare(setting, names, concurrencies=(64,), plan=plan, delay_ms=options.delay_ms),
        ),
        "attachment": (
            "an attachment of 25 MB",
            lambda: attachment.compare(setting, names, plan=plan),
        ),
        "million": (
            f"{options.rows} emails on record",
            lambda: million.compare(setting, rows=options.rows, connections=16, plan=plan),
        ),
    }
    for name in chosen:
        title, measure = sections[name]
        print(f"\n{title}\n{measure()}", flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the service and fastify on loopback, in two minutes")
    parser.add_argument("--tiny", action="store_true", help="moments only, to see that everything runs")
    parser.add_argument("--tls", action="store_true", help="STARTTLS and AUTH")
    parser.add_argument("--only", nargs="+", choices=_SECTIONS, help="these parts; default: all")
    parser.add_argument("--systems", nargs="+", choices=list(systems.SYSTEMS), help="these systems; default: all")
    parser.add_argument("--concurrency", nargs="+", type=int, help="callers at once; default: 1, 16 and 64")
    parser.add_argument("--processes", type=int, default=1, help="processes of each system")
    parser.add_argument("--delay-ms", type=float, default=20, help="how far away the slow server is")
    parser.add_argument("--rows", type=int, default=1_000_000, help="emails on record")
    parser.add_argument("--log-level", default="info", help="LOG_LEVEL of the service, whose log goes to a file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    # What was started is stopped in order, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
