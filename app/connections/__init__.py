"""Projects, their access tokens, and the connections that `/apiops` manages (spec: connections-api).

`registry` is what the use cases work with: `projects` and `access` (tokens, clients), `manage` (create, read, update,
delete), `deployment` (is it usable for the senders), `examination` (does it work, step by step), `rotation` (another
key). `types` is the table of the connection types, `drafts` checks a body against it, `sealing` encrypts what is stored
in `rows`, `smtp_configurations` turns an email connection into what senders use, and `live` is what every request asks:
who is calling, and what may this project send through.
"""
