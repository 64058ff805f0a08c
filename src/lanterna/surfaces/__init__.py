"""The user interfaces: command line, studio, class, notebook, rendering of many pictures, and standalone pages."""
