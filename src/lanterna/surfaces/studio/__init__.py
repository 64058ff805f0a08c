"""The studio: everything the library does, live in a browser page on this machine, and over a JSON API.

A request passes through `guard` (is it allowed?) → `routes` (what does it ask for?) → `store` (jobs and
pictures, in SQLite and as files) or `jobs` (the queue) → `worker` (the one process that computes) →
`techniques` (the same runs as on the command line, as generators of frames). Only the worker and the other
child processes import torch when the studio starts; the server imports it later, off the event loop.
"""
