"""What to protect, restore or remove under a budget."""

from linkways.planning.boundaries import boundaries
from linkways.planning.carbon import Carbon, carbon
from linkways.planning.coverage import Coverage, coverage
from linkways.planning.irreplaceability import Irreplaceability, irreplaceability
from linkways.planning.principles import Audit, principles
from linkways.planning.rank import Ranking, rank
from linkways.planning.restore import Restoration, restore
from linkways.planning.select import Selection, select
from linkways.planning.soft_barriers import SoftBarriers, soft_barriers

__all__ = [
    "Audit",
    "Carbon",
    "Coverage",
    "Irreplaceability",
    "Ranking",
    "Restoration",
    "Selection",
    "SoftBarriers",
    "boundaries",
    "carbon",
    "coverage",
    "irreplaceability",
    "principles",
    "rank",
    "restore",
    "select",
    "soft_barriers",
]
