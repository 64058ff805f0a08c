"""The studio: everything the library does, live in a browser page on this machine, and over a JSON API.

A request travels `guard` (may it come in) → `api` (what it asks for) → `store` (what is kept, in SQLite and
as files) or `jobs` (the queue) → `worker` (the one process that computes) → `kinds` (what the command line
does, as a generator of frames). torch is imported in the worker, and in the server beside the event loop.
"""
