"""Populations: camera traps, occupancy, densities, viability, genes, and what a crossing changed."""

__all__: list[str] = []
