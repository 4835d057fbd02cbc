"""Indicators and reports for the Global Biodiversity Framework and the Convention on Migratory Species."""

__all__: list[str] = []
