"""The user interfaces: command line, studio, notebook, rendering of many pictures, and standalone pages."""
