"""The API: thin routes over the store, the queue and the interactive process, which validate their input."""

from __future__ import annotations

from lanterna.surfaces.studio.routes import (
    events,
    gallery,
    jobs,
    lessons,
    look,
    networks,
    pictures,
    read,
    shelf,
)

_AREAS = (jobs, pictures, shelf, gallery, read, lessons, networks, look, events)
ROUTES = [route for area in _AREAS for route in area.ROUTES]
