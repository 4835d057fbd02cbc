"""Seas: larvae on the currents, who feeds whom, and reserves that seed each other."""

__all__: list[str] = []
