"""From finished bytes to a server's word: sessions, their pools, and the rules of what a failure means.

`delivery` is the door: `emails` hands it a message and a list of SMTP configurations and gets back what happened.
Behind it, in the order of a message's way: a `circuit` says whether a server is worth a try; a `loan` from its `pool`
(`pools` has them all) brings a signed-in `session`, which was opened with `resolver`, `connect`, `tls` and speaks
through a `wire`; `reach` says where it may lead; `transaction` puts one message through it; `outcome` decides what the
replies mean. `warming` opens sessions before anybody asks for them. `content` and `address` are the last check of what
is written. `check` explains to an operator why a configuration does not work: `walk` opens a session step by step, and
`words` puts each step into words. Nothing here knows of HTTP or of the database.
"""
