"""The landing page: what this is, whether it is ready, and the first call to make. Also serves the pages' own files."""

import re

from flask import Blueprint, render_template, request

from app.settings import Settings

_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)


def create(settings: Settings, *, has_inbox: bool) -> Blueprint:
    """`/` and `/assets/...`."""
    # Behind the embedded inbox there is a configuration of its own, which is not the reader's.
    configured = 0 if has_inbox else len(settings.smtp_configurations)
    landing = Blueprint(
        "landing", __name__, template_folder=settings.templates_dir, static_folder="static", static_url_path="/assets"
    )

    @landing.get("/")
    def welcome() -> str:
        return render_template("pages/landing.html", own_url=own_url(settings), smtp_configurations=configured)

    return landing


def own_url(settings: Settings) -> str:
    """The address that the reader's browser used, for a command to copy.

    It ends up in a shell, so a `Host` that is more than a name and a port is not repeated.
    """
    host = request.host if _ADDRESS.fullmatch(request.host) else f"{settings.host}:{settings.port}"
    return f"{request.scheme}://{host}{request.script_root}"
