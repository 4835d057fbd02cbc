"""Populations: camera traps, occupancy, densities, viability, genes, and what a crossing changed."""

from linkways.populations.activity import ActivityPatterns, activity
from linkways.populations.cameras import CameraSurvey, cameras
from linkways.populations.capture import CaptureModel, capture
from linkways.populations.capture_histories import CaptureHistories, capture_histories
from linkways.populations.count_viability import CountViability, count_viability
from linkways.populations.detection_histories import DetectionHistories, detection_histories
from linkways.populations.dispersal_rates import dispersal_rates
from linkways.populations.diversity import Diversity, diversity
from linkways.populations.gene_flow import GeneFlow, gene_flow
from linkways.populations.genetic_diversity import GeneticDiversity, genetic_diversity
from linkways.populations.impact import Impact, impact
from linkways.populations.import_camera_tables import import_camera_tables
from linkways.populations.import_camtrapdp import CameraTrapTables, import_camtrapdp
from linkways.populations.import_wildlife_insights import import_wildlife_insights
from linkways.populations.isolation import Isolation, isolation
from linkways.populations.matrix_model import MatrixModel, matrix_model
from linkways.populations.occupancy import Occupancy, occupancy
from linkways.populations.resistance_from_genes import ResistanceFromGenes, resistance_from_genes
from linkways.populations.viability import Viability, viability

__all__ = [
    "ActivityPatterns",
    "CameraSurvey",
    "CameraTrapTables",
    "CaptureHistories",
    "CaptureModel",
    "CountViability",
    "DetectionHistories",
    "Diversity",
    "GeneFlow",
    "GeneticDiversity",
    "Impact",
    "Isolation",
    "MatrixModel",
    "Occupancy",
    "ResistanceFromGenes",
    "Viability",
    "activity",
    "cameras",
    "capture",
    "capture_histories",
    "count_viability",
    "detection_histories",
    "dispersal_rates",
    "diversity",
    "gene_flow",
    "genetic_diversity",
    "impact",
    "import_camera_tables",
    "import_camtrapdp",
    "import_wildlife_insights",
    "isolation",
    "matrix_model",
    "occupancy",
    "resistance_from_genes",
    "viability",
]
