"""Rivers: networks and their barriers, connectivity, removals under a budget, riverine reserves."""

__all__: list[str] = []
