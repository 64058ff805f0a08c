"""A class: everybody draws and votes on a phone, and the big screen shows what a network makes of it.

The phones reach a small application of their own on the local network (`phones`), which takes strokes, votes
and nicknames and nothing else. The teacher's page (`projector`) is served on this machine only, with the
studio's token. Both share a `Room`, whose `ClassFile` saves everything before a phone is answered.
`rounds` declares what happens in a class, `work` has it computed, in child processes (`compute`), and `views`
is what the screen and the phones show.
"""
