"""From an `EmailRequest` to finished bytes: placeholders, templates, attachments, headers, MIME.

`compose.Composer` is the door; `attachments` is used while a request is read, `self_test.run` at
start-up. Nothing here knows of HTTP, of SMTP or of the database.
"""
