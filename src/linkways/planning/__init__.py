"""What to protect, restore or remove under a budget."""

__all__: list[str] = []
