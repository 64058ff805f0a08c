"""The API: thin routes over the store, the queue and the reader. What comes in is checked there, once."""

from __future__ import annotations

from lanterna.surfaces.studio.routes import (
    events,
    gallery,
    jobs,
    learning,
    looking,
    networks,
    pictures,
    reading,
    shelf,
)

_AREAS = (jobs, pictures, shelf, gallery, reading, learning, networks, looking, events)
ROUTES = [route for area in _AREAS for route in area.ROUTES]
