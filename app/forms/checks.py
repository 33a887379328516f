"""Which checks there are: a captcha needs its keys. Used by `manage`."""

from app.forms.captcha import provider
from app.model.form import HumanCheck
from app.settings import Settings


def unavailable_checks(settings: Settings) -> dict[HumanCheck, str]:
    """Why a form cannot have a check, in a sentence for its owner; empty where it can have any."""
    found = {}
    for check in (HumanCheck.TURNSTILE, HumanCheck.HCAPTCHA):
        asked = provider(settings, check)
        if asked is None or not (asked.site_key and asked.secret_key):
            name = check.upper()
            found[check] = f"The check field cannot be {check}: set {name}_SITE_KEY and {name}_SECRET_KEY first."
    return found
