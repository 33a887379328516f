"""The use cases of web forms: what their owners set up, and what becomes of a visitor's submission.

submit         one submission from the checks to the queue; the table of contents of this room
submission     what a visitor sent, and what it is answered with
recognition    the fields of a form -> who writes what, and the fields that are left
origins        which pages may submit, and where a visitor may be sent afterwards
tokens         signed form tokens: when a form was loaded
proof_of_work  ALTCHA
captcha        Turnstile and hCaptcha
find           a public key -> its form; the default form comes from the settings
manage, drafts list, create, update, delete; a JSON object -> a form, or what is wrong with it
"""
