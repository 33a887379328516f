"""The steps of the ladder that a form asks for, in the order of what they cost. Used by `submit`."""

from app.emails.office import Office
from app.forms import captcha, proof_of_work, tokens
from app.forms.marks import Mark, used_token
from app.forms.submission import Submission, Visitor
from app.forms.tokens import FormToken
from app.model.form import CheckFailure, Form, HumanCheck
from app.storage.times import to_ms


def read_token(office: Office, form: Form, submission: Submission) -> FormToken | None:
    """The form token, judged also where none is needed. Raises CheckFailed."""
    return tokens.judge(office, form, submission.first(tokens.FIELD))


def demand_proof(
    office: Office, form: Form, submission: Submission, visitor: Visitor, token: FormToken | None
) -> tuple[Mark, ...]:
    """What is used up by this submission. Raises CheckFailed."""
    spent = [] if token is None else [used_token(token)]
    if (page_proof := visitor.page_proof) is not None:
        spent.append(Mark(page_proof.digest, to_ms(page_proof.expires_at), CheckFailure.PROOF_USED))
    match form.check:
        case HumanCheck.ALTCHA:
            proof = proof_of_work.check(office, form, submission.first(proof_of_work.FIELD))
            spent.append(Mark(proof.digest, to_ms(proof.expires_at), CheckFailure.PROOF_USED))
        case HumanCheck.TURNSTILE | HumanCheck.HCAPTCHA:
            # Its provider sees to it that an answer is used once.
            asked = captcha.provider(office.settings, form.check)
            response = submission.first(asked.response_field) if asked is not None else ""
            captcha.demand_captcha(office, form, response, visitor)
        case HumanCheck.NONE:
            pass
    return tuple(spent)
