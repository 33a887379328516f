"""A peer of the benchmark: Flask and smtplib as most would write it first, with a connection for each mail.

It checks the request, fills a template and sends; it has no guards and keeps no record. gunicorn serves it.
"""

import base64
import os
import re
import smtplib
import ssl
import uuid
from email.message import EmailMessage
from email.utils import formataddr
from html import escape
from pathlib import Path

from flask import Flask, jsonify, request

_TEXT = Path(os.environ["PEER_TEXT"]).read_text()
_HTML = Path(os.environ["PEER_HTML"]).read_text()
_PORT = int(os.environ["SMTP_PORT"])
_PASSWORD = os.environ.get("SMTP_PASSWORD")
_TLS = ssl.create_default_context(cafile=os.environ["SMTP_AUTHORITY"]) if _PASSWORD else None
_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = int(os.environ["MAX_REQUEST_BYTES"])


@app.post("/api/v1/emails")
def create_email():
    given = request.get_json()
    if not _ADDRESS.fullmatch(given.get("Email", "")) or not given.get("Message", "").strip():
        return jsonify(error="Email and Message are required"), 400
    username = given.get("Username", "")
    values = given.get("CustomFields", {}) | {name: given.get(name, "") for name in ("Email", "Username", "Message")}
    message = EmailMessage()
    message["From"] = "web@example.com"
    message["To"] = "office@example.com"
    message["Reply-To"] = formataddr((username, given["Email"]))
    message["Subject"] = f"Contact: {username}"
    message.set_content(_filled(_TEXT, values))
    written = {name: escape(value).replace("\n", "<br>\n") for name, value in values.items()}
    message.add_alternative(_filled(_HTML, written), subtype="html")
    for attachment in given.get("Attachments", ()):
        maintype, _, subtype = attachment["ContentType"].partition("/")
        content = base64.b64decode(attachment["Base64Content"], validate=True)
        message.add_attachment(content, maintype=maintype, subtype=subtype, filename=attachment["FileName"])
    with smtplib.SMTP("127.0.0.1", _PORT, timeout=30) as server:
        if _TLS is not None:
            server.starttls(context=_TLS)
            server.login("web@example.com", _PASSWORD)
        server.send_message(message)
    return jsonify(id=str(uuid.uuid4()), status="Sent"), 201


def _filled(template, values):
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)
