"""What the tests of the settings share: an environment without a `.env`, and configurations to put into it."""

import json
import os

import pytest

from app.errors import SettingsInvalid
from app.settings import Settings, load_settings

NO_FILE = {"LETTERBOX_ENV_FILE": os.devnull}
SECRET = "canary-3f9a1c-canary"
KEY = "k" * 32
ENTRY: dict[str, object] = {"Index": 1, "Host": "smtp.example.com", "Port": 465, "Email": "info@example.com"}


def load(**variables: str) -> Settings:
    """Settings from these variables alone."""
    return load_settings(NO_FILE | {"SECRET_KEY": KEY, **variables})


def problems(**variables: str) -> list[str]:
    """What is wrong with these variables."""
    with pytest.raises(SettingsInvalid) as caught:
        load(**variables)
    return list(caught.value.problems)


def smtp(*entries: dict[str, object] | str, **variables: str) -> dict[str, str]:
    """An environment with these configurations (a text is taken as it is) and whatever belongs to them."""
    raw = entries[0] if entries and isinstance(entries[0], str) else json.dumps(entries or [ENTRY])
    return {
        "SMTP_CONFIGURATIONS": raw,
        "SMTP_1_PASSWORD": SECRET,
        "SMTP_RECEPTION_EMAIL": "inbox@example.com",
        **variables,
    }
