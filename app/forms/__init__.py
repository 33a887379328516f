"""The use cases of web forms: what their owners set up, and what becomes of a visitor's submission.

submit         one submission from the checks to the queue; the table of contents of this room
submission     what a visitor sent, and what it is answered with
recognition    the fields of a form -> who writes what, and the fields that are left; `names` has their spellings
letter         that -> the request for an email to the form's owner
origins        which pages may submit
redirects      where a visitor may be sent afterwards
marks, limits  a submission is taken once; a form takes so many in an hour
honeypot, humanity   the ladder of bot checks, in the order of what they cost
tokens         signed form tokens: when a form was loaded
proof_of_work  ALTCHA
captcha, asking      Turnstile and hCaptcha, and how they are asked
signing        the keys of tokens and challenges
confirmation   what the visitor gets by mail, where the owner wants it
find           a public key -> its form; the default form comes from the settings
manage, drafts, fields, checks   list, create, update, delete; a JSON object -> a form, or what is wrong with it
operator       the same for the command line, for the forms of all projects
"""
