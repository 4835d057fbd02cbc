"""Indicators and reports for the Global Biodiversity Framework and the Convention on Migratory Species."""

from linkways.policy.parc import Connectedness, Resilience, beri, parc
from linkways.policy.protconn import ProtConn, protconn
from linkways.policy.protected_isolation import ProtectedIsolation, protected_isolation
from linkways.policy.report import PolicyReport, report
from linkways.policy.representation import Representation, representation
from linkways.policy.urban_green import UrbanGreen, urban_green

__all__ = [
    "Connectedness",
    "PolicyReport",
    "ProtConn",
    "ProtectedIsolation",
    "Representation",
    "Resilience",
    "UrbanGreen",
    "beri",
    "parc",
    "protconn",
    "protected_isolation",
    "report",
    "representation",
    "urban_green",
]
