"""All directed stories, each from the same beginning."""

from __future__ import annotations

from collections.abc import Sequence

from pyiexec.chain.deployment import Variant

from . import moves
from .chain import Chain
from .coverage import Coverage
from .scenes import administration, assets, boost, escrow, matching, tasks
from .stage import PEOPLE, STAKE, Scene, Stage

SCENES: dict[Variant, tuple[Scene, ...]] = {
    "token": (
        *matching.SCENES,
        *tasks.SCENES,
        *matching.BOOST_SCENES,
        *boost.SCENES,
        *escrow.SCENES,
        *administration.SCENES,
        *assets.SCENES,
    ),
    "native": (*escrow.NATIVE_SCENES, tasks.a_task_that_goes_well, tasks.a_vote),
}


def open_market(chain: Chain) -> str:
    """Deposits that let most deals be made; a snapshot of the market so opened."""
    stage = Stage(chain, Coverage(), "opening", 0)
    if int(chain.worlds[0]["token"], 16) == 0:
        funded = [*PEOPLE[:-1], "yes"]
        stage.do_all([moves.native("admin", "depositFor", name, value=STAKE * 10**9) for name in funded])
        return chain.snapshot()
    rich = [name for name in PEOPLE if name != "worker 6"]
    stage.do_all([moves.hub(name, "deposit", STAKE) for name in rich])
    stage.do(moves.hub("requester", "depositFor", STAKE, "yes"))
    return chain.snapshot()


def play(chain: Chain, coverage: Coverage, seed: int, scenes: Sequence[Scene]) -> None:
    """Play every scene once, as the seed draws it; both hubs are left as they were.

    Raises:
        Difference: the hubs disagree, or do not do what the scene says.
    """
    before = chain.snapshot()
    opened = open_market(chain)
    for scene in scenes:
        scene(Stage(chain, coverage, scene.__name__, seed))
        opened = chain.restore(opened)
    chain.ask("evm_revert", before)
