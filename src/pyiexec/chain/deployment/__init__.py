"""Put a whole marketplace on a chain: token, registries, hub with its facets, categories.

`plan` says what that is and where it will be, `survey` what of it a chain has, `deploying` sends the rest, `manifest`
tells others, and `verification` proves that what is there is what was compiled.
"""

from __future__ import annotations

from pyiexec.chain.deployment.deploying import carry_out, deploy, settle
from pyiexec.chain.deployment.facets import (
    CHAINS_WITHOUT_BOOST,
    DIAMOND_FACETS,
    ESCROW_FACETS,
    FALLBACK,
    HUB_FACETS,
    RECEIVE,
    Variant,
    facet_cuts,
    hub_facets,
    selectors,
)
from pyiexec.chain.deployment.manifest import Deployed, Manifest, Registries
from pyiexec.chain.deployment.plan import (
    DEFAULT_CATEGORIES,
    NO_SALT,
    REGISTRIES,
    REGISTRY_BASE_URI,
    STANDARD_CATEGORIES,
    Plan,
    make_plan,
    short_category,
)
from pyiexec.chain.deployment.survey import Survey, survey

__all__ = [
    "CHAINS_WITHOUT_BOOST",
    "DEFAULT_CATEGORIES",
    "DIAMOND_FACETS",
    "ESCROW_FACETS",
    "FALLBACK",
    "HUB_FACETS",
    "NO_SALT",
    "RECEIVE",
    "REGISTRIES",
    "REGISTRY_BASE_URI",
    "STANDARD_CATEGORIES",
    "Deployed",
    "Manifest",
    "Plan",
    "Registries",
    "Survey",
    "Variant",
    "carry_out",
    "deploy",
    "facet_cuts",
    "hub_facets",
    "make_plan",
    "selectors",
    "settle",
    "short_category",
    "survey",
]
