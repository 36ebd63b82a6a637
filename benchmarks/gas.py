"""Gas of each call of hub and registries, ours against the published contracts of PoCo 6.1, on one chain in one run.

Both hubs get the same orders, from the same accounts, and every call is a transaction whose receipt is read: the figure
is what it used, the 21,000 of any transaction included. Inputs are constant, so the figures are too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from gas_scenario import BAG, BOOST, CALL, CREATION, PARAMS, RESULTS, TASK, VIEW, NativeScenario, Scenario
from pyiexec.chain.anvil import HARDFORK, VERSION, Anvil, AnvilOptions
from pyiexec.chain.artifacts import load
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.primitives import NULL_ADDRESS
from reference import published
from reference.ledger import Ledger
from reference.markets import compiled, deploy_ours, deploy_reference
from verdict import Measured, conclude

Gas = dict[str, int]


class Row(msgspec.Struct, frozen=True):
    """A call, or several together, on both hubs."""

    name: str
    reference: float
    ours: float

    @property
    def ratio(self) -> float:
        """Ours by theirs."""
        return self.ours / self.reference

    def __str__(self) -> str:
        return f"{self.name:<52}{self.reference:>12,.0f}{self.ours:>12,.0f}{self.ratio:>8.3f}"


class Bar(msgspec.Struct, frozen=True):
    """A promise about all rows of a kind: none of them is above."""

    title: str
    most: float
    rows: list[Row]

    @property
    def worst(self) -> Row:
        """The row nearest to the bar, or farthest beyond it."""
        return max(self.rows, key=lambda row: row.ratio)

    @property
    def met(self) -> bool:
        """Whether all rows are within."""
        return self.worst.ratio <= self.most

    def __str__(self) -> str:
        verdict = "met" if self.met else "missed"
        named = f" ({self.worst.name})" if len(self.rows) > 1 else ""
        return f"{self.title:<76}{self.worst.ratio:>7.3f} x (at most {self.most:.2f} x): {verdict}{named}"


def _group(reference: Gas, ours: Gas, group: str) -> list[Row]:
    """The rows of a group, as measured."""
    prefix = f"{group}: "
    return [
        Row(name.removeprefix(prefix), reference[name], ours[name]) for name in reference if name.startswith(prefix)
    ]


def _sum(name: str, rows: Iterable[Row], wanted: Callable[[str], bool], share: int = 1) -> Row:
    chosen = [row for row in rows if wanted(row.name)]
    return Row(name, sum(row.reference for row in chosen) / share, sum(row.ours for row in chosen) / share)


def bars(reference: Gas, ours: Gas) -> list[Bar]:
    """What is promised, with the rows that it is about."""
    steps = _group(reference, ours, TASK)

    def task(label: str, share: int = 1) -> list[Row]:
        return [_sum(f"all steps {label}", steps, lambda name: name.startswith(label), share)]

    boost = _group(reference, ours, BOOST)
    return [
        Bar("task, trust 1, commit/reveal, with dataset and 145 bytes of params", 0.42, task("[trust 1]")),
        Bar("task, trust 1, contributeAndFinalize with dataset and TEE tag", 0.48, task("[enclave]")),
        Bar("task, trust 10, 4 workers", 0.48, task("[trust 10]")),
        Bar(f"per task of a deal of {BAG}, all steps", 0.42, task("[bag]", BAG)),
        Bar("createApp, createDataset, createWorkerpool", 0.33, _group(reference, ours, CREATION)),
        Bar("Boost: match and push with callback", 0.75, [_sum("Boost", boost, lambda _: True)]),
        Bar("any other single writing call", 1.00, _group(reference, ours, CALL)),
        Bar("accessors, called in a transaction", 1.15, _group(reference, ours, VIEW)),
    ]


def show(reference: Gas, ours: Gas) -> list[Bar]:
    """Print the tables; the bars."""
    promised = bars(reference, ours)
    print(f"anvil {VERSION}, hardfork {HARDFORK}; reference: npm {published.PACKAGE} {published.VERSION}")
    print(f"params of {len(PARAMS)} bytes, results of {len(RESULTS)}\n")
    print(f"{'gas':<52}{'reference':>12}{'pyiexec':>12}{'ratio':>8}")
    single = [row for row in _group(reference, ours, TASK) if not row.name.startswith("[bag] ") or "match" in row.name]
    for row in [*single, *_group(reference, ours, BOOST)]:
        print(row)
    for bar in promised:
        print(f"\n-- {bar.title}")
        for row in bar.rows:
            print(row)
    print()
    for bar in promised:
        print(bar)
    return promised


async def measure() -> tuple[Gas, Gas]:
    """Gas by call of the reference and of ours."""
    options = AnvilOptions(block_time=10**6, block_gas_limit=10**9)
    async with Anvil(options) as anvil, JsonRpc(anvil.url) as rpc:
        ledgers = Ledger(rpc), Ledger(rpc)
        rlc = load("RLC").initcode
        helpers = {name: await ledgers[0].create(compiled(name.capitalize())) for name in ("consumer", "spender")}
        markets = [
            await deploy(ledger, await ledger.create(rlc))
            for ledger, deploy in zip(ledgers, (deploy_reference, deploy_ours), strict=True)
        ]
        native = [
            await deploy(ledger, NULL_ADDRESS, "native")
            for ledger, deploy in zip(ledgers, (deploy_reference, deploy_ours), strict=True)
        ]
        # from here on a block is mined for each transaction, and at no other time
        await rpc.call("evm_setIntervalMining", 0)
        # the functions of a hub, as the reference has them
        selectors = [selector for _, _, linked in markets[0].cuts for selector in linked]
        for ledger, market in zip(ledgers, markets, strict=True):
            await Scenario(ledger, market, helpers, selectors).run()
        for ledger, market in zip(ledgers, native, strict=True):
            await NativeScenario(ledger, market).run()
    return ledgers[0].gas, ledgers[1].gas


if __name__ == "__main__":
    promised = show(*asyncio.run(measure()))
    # how far the bar that is nearest to its limit uses it up
    conclude(Measured("bench-gas", max(bar.worst.ratio / bar.most for bar in promised), "of its bar", 1.0))
