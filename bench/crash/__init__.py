"""`python -m bench.crash`: whether a service that is killed at any instant loses mail, doubles it, or tells an untruth.

The real service runs under load against an SMTP server that counts what it accepts. It is killed with SIGKILL again and
again, at random moments and at marked points, and started again each time. At the end three ledgers have to agree: what
clients were told, what the service says of each email, and what the server accepted.
"""
