"""`letterbox check-smtp`: signs in to every configured server and says, step by step, what to change."""

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import click
import structlog

from app.cli.opening import LetterboxCommand, opened_settings
from app.model.smtp import SMTPConfiguration
from app.smtp.check import CLEAR_TEXT, CheckStep, check

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CheckedConfiguration:
    """One account of one configuration, and how far signing in went."""

    configuration: SMTPConfiguration
    is_test: bool
    steps: tuple[CheckStep, ...]

    @property
    def is_usable(self) -> bool:
        return all(step.success for step in self.steps)


def check_all(configurations: Sequence[SMTPConfiguration]) -> list[CheckedConfiguration]:
    """Try every account of every configuration, at the same time."""
    accounts = [(configuration, False) for configuration in configurations]
    accounts += [(configuration, True) for configuration in configurations if configuration.test_account]
    accounts.sort(key=lambda pair: configurations.index(pair[0]))
    with ThreadPoolExecutor(max_workers=8) as pool:
        results = pool.map(lambda pair: check(pair[0], is_test=pair[1]), accounts)
        return [CheckedConfiguration(*account, steps) for account, steps in zip(accounts, results, strict=True)]


def table(checked: Sequence[CheckedConfiguration]) -> list[str]:
    """A line per account, and under one that failed its cause and remedy."""
    lines = []
    for entry in checked:
        configuration = entry.configuration
        name = f"SMTP_{configuration.index}{' test' if entry.is_test else ''}"
        steps = "  ".join(f"{step.name} {_result(step)}" for step in entry.steps)
        lines.append(f"{name:<13} {configuration.host}:{configuration.port:<6} {steps}")
        for step in entry.steps:
            if not step.success:
                lines.append(f"{'':<13} cause:  {step.detail}")
                lines.append(f"{'':<13} remedy: {step.remedy}")
    return lines


def _result(step: CheckStep) -> str:
    if step.detail == CLEAR_TEXT:
        return "-"
    return f"{'ok' if step.success else 'FAILED'} {step.duration_ms} ms"


def log_checks(configurations: Sequence[SMTPConfiguration]) -> None:
    """The same at start-up, in the log."""
    for entry in check_all(configurations):
        for line in table([entry]):
            say = log.info if entry.is_usable else log.warning
            say(line)


@click.command("check-smtp", cls=LetterboxCommand)
@click.option("--index", type=int, help="Only this configuration.")
@click.option("--json", "is_json", is_flag=True, help="As a JSON array.")
def check_smtp(*, index: int | None, is_json: bool) -> None:
    """Sign in to every configured server; exit status 1 when one fails."""
    configurations = opened_settings().smtp_configurations
    if index is not None:
        configurations = tuple(each for each in configurations if each.index == index)
        if not configurations:
            raise click.BadParameter(f"SMTP_CONFIGURATIONS has no Index {index}.", param_hint="--index")
    if not configurations:
        click.echo("SMTP_CONFIGURATIONS is not set: there is no server to check.", err=True)
        sys.exit(1)
    checked = check_all(configurations)
    for line in [json.dumps(as_json(checked), indent=2)] if is_json else table(checked):
        click.echo(line)
    if not all(entry.is_usable for entry in checked):
        sys.exit(1)


def as_json(checked: Sequence[CheckedConfiguration]) -> list[dict[str, Any]]:
    """The same as `table`, for scripts."""
    return [
        {
            "index": entry.configuration.index,
            "isTest": entry.is_test,
            "success": entry.is_usable,
            "steps": [asdict(step) for step in entry.steps],
        }
        for entry in checked
    ]
