"""The service and its peers side by side: posts on loopback and behind a slow server."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

from bench import native, payload, report
from bench.native import Sink
from bench.rounds import Plan, alternate, warm_up
from bench.systems import PASSWORD, SYSTEMS, Setting, System


def compare(
    setting: Setting, names: Sequence[str], *, concurrencies: Sequence[int], plan: Plan, delay_ms: float = 0
) -> str:
    """A table of emails per second, latencies and CPU. All systems run at once, one of them at work."""
    request = payload.write_request(setting.directory)
    with ExitStack() as stack:
        systems, sinks = start(stack, setting, names, delay_ms=delay_ms)
        warm_up(systems, request, connections=max(concurrencies), seconds=plan.warm_up_s)
        results = {
            connections: alternate(systems, sinks, request, connections=connections, plan=plan)
            for connections in concurrencies
        }
        peaks = ", ".join(f"{system.name} {system.tree.peak_mb():.0f} MB" for system in systems)
    return f"{report.runs(results)}\npeak of the resident memory: {peaks}"


def start(
    stack: ExitStack, setting: Setting, names: Sequence[str], *, delay_ms: float = 0
) -> tuple[list[System], dict[str, Sink]]:
    """The systems, each with a directory and a sink of its own."""
    systems, sinks = [], {}
    for name in names:
        directory = setting.directory / f"{name}-{delay_ms:g}"
        directory.mkdir()
        sinks[name] = stack.enter_context(open_sink(setting, delay_ms=delay_ms))
        own = replace(setting, directory=directory)
        systems.append(stack.enter_context(SYSTEMS[name](own, sinks[name].port)))
    return systems, sinks


def open_sink(setting: Setting, *, delay_ms: float = 0) -> AbstractContextManager[Sink]:
    """A sink that asks for what the setting says."""
    sign_in = payload.plain_response("web@example.com", PASSWORD) if setting.certificate else None
    return native.sink(delay_ms=delay_ms, certificate=setting.certificate, sign_in=sign_in)


def sink_capacity(directory: Path, *, seconds: float, octets: int) -> str:
    """What the sink and the load generator do without a system between them."""
    message = payload.write_message(directory, octets=octets)
    with native.sink() as sink:
        rates = []
        for connections in (1, 16, 64):
            load = native.load(sink.port, message, connections=connections, seconds=seconds, smtp_replies=3)
            rates.append(f"{load.answered / load.seconds:.0f}")
    return f"the sink alone takes {' / '.join(rates)} mails of {octets} octets per second at c=1 / 16 / 64"
