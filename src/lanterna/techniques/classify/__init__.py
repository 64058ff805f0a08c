"""Classifying pictures into a network's classes."""
