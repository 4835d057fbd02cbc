"""What to protect, restore or remove under a budget."""

from linkways.planning.carbon import Carbon, carbon
from linkways.planning.coverage import Coverage, coverage
from linkways.planning.restore import Restoration, restore
from linkways.planning.soft_barriers import SoftBarriers, soft_barriers

__all__ = ["Carbon", "Coverage", "Restoration", "SoftBarriers", "carbon", "coverage", "restore", "soft_barriers"]
