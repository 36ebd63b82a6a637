"""All metrics that the parts of pyiexec export."""

from __future__ import annotations

from pyiexec.chain import observed as chain
from pyiexec.foundation import metrics, observation, traffic
from pyiexec.foundation.metrics import Family, families_of
from pyiexec.keeper import observed as keeper
from pyiexec.market import chain_routes as market
from pyiexec.scheduler import observed as scheduler
from pyiexec.sms import app as sms
from pyiexec.worker import observed as worker

#: Who exports the metrics of a module.
MODULES = {
    "every service": (metrics, traffic, observation),
    "services that use a chain": (chain,),
    "market": (market,),
    "scheduler": (scheduler,),
    "worker": (worker,),
    "keeper": (keeper,),
    "sms": (sms,),
}
FAMILIES: dict[str, list[Family]] = {
    whose: list(dict.fromkeys(family for module in modules for family in families_of(module)))
    for whose, modules in MODULES.items()
}
