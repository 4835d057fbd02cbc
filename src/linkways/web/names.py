"""Names that come from other rooms and stand on pages: states, roles, facets, codes of the small vocabularies.

They are listed so that they are translated; a test compares the list with the rooms.
"""

from __future__ import annotations

from linkways.web.languages import N_

__all__ = ["NAMES"]

NAMES = (
    # states of runs, steps and checks
    *(N_("draft"), N_("queued"), N_("running"), N_("finished"), N_("failed"), N_("cancelled"), N_("waiting")),
    *(N_("reused"), N_("passed")),
    # kinds of runs
    *(N_("replication"), N_("scenario"), N_("process"), N_("check"), N_("run"), N_("study")),
    # states of records
    *(N_("submitted"), N_("feedback"), N_("approved"), N_("published"), N_("superseded"), N_("withdrawn")),
    # roles
    *(N_("reader"), N_("contributor"), N_("reviewer"), N_("editor"), N_("administrator")),
    # rooms
    *(N_("corridors"), N_("networks"), N_("movement"), N_("rivers"), N_("seas"), N_("populations"), N_("planning")),
    N_("policy"),
    # kinds of inputs and results
    *(N_("raster"), N_("vector"), N_("table"), N_("field"), N_("document"), N_("layer"), N_("indicator"), N_("figure")),
    # what readers judge
    N_("Thematic relevance: it is about ecological connectivity"),
    N_("Demonstrated impact: what changed is told with its source"),
    N_("Replicable: others can take over its building blocks"),
    # changes of a scenario
    N_("A road: resistance along the line is raised to a number"),
    N_("A fence: nothing crosses the line"),
    N_("A crossing: resistance along the line is lowered to a number, over roads and fences"),
    N_("Restored or changed land: cells inside take another class or value"),
    N_("A new protected area"),
    N_("A barrier removed, such as a dam"),
    # differences of features
    *(N_("added"), N_("removed"), N_("changed")),
    # facets
    *(N_("Realm"), N_("Species"), N_("Country"), N_("Region"), N_("Scale"), N_("Habitats"), N_("Threats")),
    *(N_("Conservation actions"), N_("Global Biodiversity Framework"), N_("Sustainable Development Goals")),
    *(N_("CMS Strategic Plan"), N_("CMS appendices"), N_("Global Species Action Plan"), N_("Building blocks")),
    *(N_("Keywords"), N_("Study"), N_("Form"), N_("Language")),
    *(N_("Carries a study"), N_("Waits for methods"), N_("No study"), N_("Full record"), N_("Snapshot")),
    # realms, scales, phases and categories of building blocks
    *(N_("Land"), N_("Rivers and lakes"), N_("Sea and coast"), N_("Air")),
    *(N_("Local"), N_("Subnational"), N_("National"), N_("Several countries"), N_("Global")),
    *(N_("Planning"), N_("Implementation"), N_("Evaluation")),
    N_("Alliances and partnerships"),
    N_("Baselines, monitoring and research"),
    N_("Participation and co-management"),
    N_("Communication and awareness"),
    N_("Enforcement and prevention"),
    N_("Sustainable finance"),
    N_("Law and policy"),
    N_("Sustainable livelihoods"),
    N_("Spatial and management planning"),
    N_("Designation of protected and conserved areas"),
    N_("Restoration of habitat"),
    N_("Technical works and infrastructure"),
    N_("Education and training"),
    # titles of refusals (RFC 9110)
    *(N_("Bad Request"), N_("Unauthorized"), N_("Forbidden"), N_("Not Found"), N_("Method Not Allowed")),
    N_("Conflict"),
    *(N_("Content Too Large"), N_("Request Entity Too Large"), N_("Unprocessable Content")),
    *(N_("Unprocessable Entity"), N_("Too Many Requests"), N_("Internal Server Error")),
    # units in words, and words in numbers' places
    *(N_("years"), N_("days"), N_("hours"), N_("share"), N_("percent"), N_("individuals"), N_("species")),
    *(N_("degrees"), N_("cells"), N_("no value"), N_("yes"), N_("no"), N_("infinite"), N_("−infinite")),
)
