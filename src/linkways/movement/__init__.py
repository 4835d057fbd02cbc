"""Movement: from GPS tracks to migrations, corridors and bottlenecks, fences, selection, states and conflict."""

__all__: list[str] = []
