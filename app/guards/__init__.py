"""What keeps strangers from flooding a mailbox: the client's address, throttle, burst and excess blocks, the cooldown.

`gate` is what `web` asks before it reads a body; `cooldown` is what `emails` asks before it sends. No HTTP in here.
"""
