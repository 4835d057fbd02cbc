"""Habitat networks: patches, links, connectivity indices, the importance of every patch and link, change over time."""

__all__: list[str] = []
