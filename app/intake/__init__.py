"""What web forms send their submissions to: `/forms`. A surface, as `api` and `pages` are.

    receiving    POST /forms/<key>, and the answers to whatever goes wrong there
    reading      an HTTP request -> a Submission, bounded and judged
    bodies, multipart, charsets   the three kinds of bodies -> fields and files
    visit        what is known of the visitor: where they come from, their language, whether a script asks
    answers      a receipt or an error -> a redirect, a page or JSON
    refusals     each error's status and words
    again        what was typed, as a form that can be sent again
    snippet      GET and POST /forms/<key>/snippet: ready code for the owner of a form
    snippet_code, snippet_fields  a form -> that code
    checks       what pages fetch for their bot check: tokens, challenges, scripts
    languages    what visitors are told, one file of texts per language

Templates are in `templates/forms/`. Everything works without JavaScript.
"""

from flask import Flask

from app.emails.office import Office
from app.forms.find import find_form
from app.forms.submit import submit
from app.intake import checks, receiving, snippet


def register(app: Flask, office: Office) -> None:
    """Add the surface."""
    app.register_blueprint(receiving.create(office, find=find_form, submit=submit))
    app.register_blueprint(checks.create(office, find=find_form))
    app.register_blueprint(snippet.create(office))
