"""The table of outcomes, as a table."""

import pytest

from app.model.outcome import Outcome, Stage
from app.smtp.outcome import decide, judge
from app.smtp.reply import Reply

A, F, R, M, U = (
    Outcome.ACCEPTED,
    Outcome.SERVER_AT_FAULT,
    Outcome.RECIPIENT_REFUSED,
    Outcome.MESSAGE_REFUSED,
    Outcome.UNKNOWN,
)
OPENING = (Stage.DNS, Stage.CONNECT, Stage.GREETING, Stage.TLS, Stage.EHLO, Stage.AUTH)


@pytest.mark.parametrize("stage", [*OPENING, Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.MESSAGE])
def test_without_a_reply_the_server_is_at_fault_until_everything_was_handed_over(stage: Stage) -> None:
    assert decide(stage, None, None, handed_over=False) is F
    assert decide(stage, None, None, handed_over=True) is U


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("code", [421, 450, 451, 452, 454])
def test_a_temporary_refusal_is_the_servers_fault_at_every_stage(stage: Stage, code: int) -> None:
    assert decide(stage, code, None, handed_over=stage is Stage.MESSAGE) is F


@pytest.mark.parametrize("stage", [*OPENING, Stage.MAIL])
@pytest.mark.parametrize("code", [500, 530, 535, 550, 552, 554])
def test_before_rcpt_a_permanent_refusal_is_the_servers_or_accounts_fault(stage: Stage, code: int) -> None:
    assert decide(stage, code, "5.1.1", handed_over=False) is F


@pytest.mark.parametrize(
    ("code", "enhanced_code", "expected"),
    [
        (550, "5.1.1", R),
        (550, "5.1.10", R),
        (552, "5.2.2", R),
        (550, None, R),
        (553, None, R),
        (554, None, R),
        (550, "5.0.0", R),
        (550, "5.7.1", F),
        (554, "5.7.26", F),
        (530, None, F),
        (530, "5.1.1", F),
        (550, "5.4.1", F),
        (554, "5.3.2", F),
        (501, "5.5.4", F),
    ],
)
def test_a_refused_recipient_is_told_from_a_denied_relay(
    code: int, enhanced_code: str | None, expected: Outcome
) -> None:
    assert decide(Stage.RCPT, code, enhanced_code, handed_over=False) is expected


@pytest.mark.parametrize(
    ("stage", "code", "expected"),
    [
        (Stage.DATA, 554, M),
        (Stage.DATA, 550, M),
        (Stage.DATA, 250, F),
        (Stage.MESSAGE, 250, A),
        (Stage.MESSAGE, 299, A),
        (Stage.MESSAGE, 550, M),
        (Stage.MESSAGE, 554, M),
        (Stage.MESSAGE, 354, U),
    ],
)
def test_the_reply_to_the_data_decides_about_the_message(stage: Stage, code: int, expected: Outcome) -> None:
    assert decide(stage, code, None, handed_over=stage is Stage.MESSAGE) is expected


@pytest.mark.parametrize(
    ("reply", "enhanced_code"),
    [
        (Reply(550, b"5.1.1 no such user"), "5.1.1"),
        (Reply(550, b"5.1.1"), "5.1.1"),
        (Reply(550, b"4.1.1 not of this class"), None),
        (Reply(550, b"5.1.1x"), None),
        (Reply(550, b"no such user 5.1.1"), None),
        (Reply(250, b"2.0.0 queued\n2.0.0 really"), "2.0.0"),
    ],
)
def test_an_enhanced_code_counts_only_where_it_belongs(reply: Reply, enhanced_code: str | None) -> None:
    assert reply.enhanced_code == enhanced_code


def test_the_words_of_a_reply_decide_nothing_and_are_kept_short_and_clean() -> None:
    verdict = judge(Stage.RCPT, Reply(550, b"5.7.1 user unknown \x1b[31m\r\n" + "é".encode() * 600))
    assert verdict.outcome is F
    assert verdict.detail.startswith("550 5.7.1 user unknown  [31m é")
    assert len(verdict.detail) == 500
    assert verdict.detail.isprintable()
