"""The landing page: what this is, whether it is ready, and the first call to make. Also serves the pages' own files."""

from flask import Blueprint, render_template

from app.settings import Settings
from app.web.own_url import own_url


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
