"""Movement: from GPS tracks to migrations, corridors and bottlenecks, fences, selection, states and conflict."""

from linkways.movement.akde import HomeRanges, akde
from linkways.movement.bottlenecks import Bottlenecks, bottlenecks
from linkways.movement.brownian_bridge import BrownianBridge, brownian_bridge
from linkways.movement.conflict import Conflict, conflict
from linkways.movement.corridors import MigrationCorridors, corridors
from linkways.movement.dynamic_bridge import DynamicBridge, dynamic_bridge
from linkways.movement.fences import Fences, fences
from linkways.movement.food_choice import FoodChoice, food_choice
from linkways.movement.kernel_range import KernelRange, kernel_range
from linkways.movement.mcp import mcp
from linkways.movement.migration import Migration, migration
from linkways.movement.recursions import Recursions, recursions
from linkways.movement.selection import Selection, selection
from linkways.movement.states import States, states
from linkways.movement.streaking import Streaking, streaking
from linkways.movement.tracks import Tracks, tracks

__all__ = [
    "Bottlenecks",
    "BrownianBridge",
    "Conflict",
    "DynamicBridge",
    "Fences",
    "FoodChoice",
    "HomeRanges",
    "KernelRange",
    "Migration",
    "MigrationCorridors",
    "Recursions",
    "Selection",
    "States",
    "Streaking",
    "Tracks",
    "akde",
    "bottlenecks",
    "brownian_bridge",
    "conflict",
    "corridors",
    "dynamic_bridge",
    "fences",
    "food_choice",
    "kernel_range",
    "mcp",
    "migration",
    "recursions",
    "selection",
    "states",
    "streaking",
    "tracks",
]
