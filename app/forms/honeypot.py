"""Fields that no visitor sees: whoever fills one in is a program. Used by `submit` and `recognition`."""

from app.forms.submission import Submission

HONEYPOTS = ("_gotcha", "_honey", "_honeypot", "botcheck")
"""As Formspree, FormSubmit and Web3Forms call them."""

_UNCHECKED = ("false", "0", "off")
"""What the box `botcheck` says when a script sends it although nobody ticked it."""


def is_caught(submission: Submission) -> bool:
    """Whether one of them was filled in."""
    return any(_is_filled_in(name.casefold(), value.strip()) for name, value in submission.fields)


def _is_filled_in(name: str, value: str) -> bool:
    if name not in HONEYPOTS or not value:
        return False
    return name != "botcheck" or value.casefold() not in _UNCHECKED
