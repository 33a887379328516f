"""`letterbox check-smtp`: signs in to every configured server and says, step by step, what to change."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import click
import structlog

from app.cli.opening import LetterboxCommand, opened_settings
from app.errors import SettingsInvalid
from app.model.smtp import SMTPConfiguration
from app.smtp.check import CheckStep, check

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
        steps = "  ".join(
            f"{step.name} {'ok' if step.success else 'FAILED'} {step.duration_ms} ms" for step in entry.steps
        )
        lines.append(f"{name:<13} {configuration.host}:{configuration.port:<6} {steps}")
        for step in entry.steps:
            if not step.success:
                lines.append(f"{'':<13} cause:  {step.detail}")
                lines.append(f"{'':<13} remedy: {step.remedy}")
    return lines


def log_checks(configurations: Sequence[SMTPConfiguration]) -> None:
    """The same at start-up, in the log."""
    for entry in check_all(configurations):
        for line in table([entry]):
            say = log.info if entry.is_usable else log.warning
            say(line)


@click.command("check-smtp", cls=LetterboxCommand)
@click.option("--index", type=int, help="Only this configuration.")
def check_smtp(index: int | None) -> None:
    """Sign in to every configured server; exit status 1 when one fails."""
    settings = opened_settings()
    configurations = [
        configuration for configuration in settings.smtp_configurations if index is None or configuration.index == index
    ]
    if not configurations:
        wanted = "SMTP_CONFIGURATIONS is not set" if index is None else f"SMTP_CONFIGURATIONS has no Index {index}"
        raise SettingsInvalid([f"{wanted}: there is no server to check."])
    checked = check_all(configurations)
    for line in table(checked):
        click.echo(line)
    if not all(entry.is_usable for entry in checked):
        sys.exit(1)
