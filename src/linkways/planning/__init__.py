"""What to protect, restore or remove under a budget."""

from linkways.planning.carbon import Carbon, carbon
from linkways.planning.restore import Restoration, restore

__all__ = ["Carbon", "Restoration", "carbon", "restore"]
