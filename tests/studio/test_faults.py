"""What once went wrong in the studio: pictures dropped, names, settings and sessions lost, parts out of view."""
