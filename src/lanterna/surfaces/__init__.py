"""The user interfaces: command line, studio, class, notebook, render, and standalone pages."""
