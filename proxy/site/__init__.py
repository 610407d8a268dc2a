"""Reads a site folder strictly and turns it into frozen models, or into every problem at once."""
