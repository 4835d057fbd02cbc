"""What to protect, restore or remove under a budget."""

from linkways.planning.boundaries import boundaries
from linkways.planning.calibrate import Calibration, calibrate
from linkways.planning.carbon import Carbon, carbon
from linkways.planning.cost_shares import CostShares, cost_shares
from linkways.planning.coverage import Coverage, coverage
from linkways.planning.irreplaceability import Irreplaceability, irreplaceability
from linkways.planning.principles import Audit, principles
from linkways.planning.problem import PlanningProblem, problem
from linkways.planning.rank import Ranking, rank
from linkways.planning.restore import Restoration, restore
from linkways.planning.robust import RobustPlan, robust
from linkways.planning.select import Selection, select
from linkways.planning.soft_barriers import SoftBarriers, soft_barriers
from linkways.planning.strengths import strengths
from linkways.planning.zones import Zoning, zones

__all__ = [
    "Audit",
    "Calibration",
    "Carbon",
    "CostShares",
    "Coverage",
    "Irreplaceability",
    "PlanningProblem",
    "Ranking",
    "Restoration",
    "RobustPlan",
    "Selection",
    "SoftBarriers",
    "Zoning",
    "boundaries",
    "calibrate",
    "carbon",
    "cost_shares",
    "coverage",
    "irreplaceability",
    "principles",
    "problem",
    "rank",
    "restore",
    "robust",
    "select",
    "soft_barriers",
    "strengths",
    "zones",
]
