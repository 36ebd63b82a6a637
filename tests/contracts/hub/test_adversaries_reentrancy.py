"""Foreign code that calls back: callbacks, tokens with hooks, receivers of coins and of assets.

The rule that all of them test: from inside a call nothing can be done that could not be done right after it.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyiexec.chain import registries
from pyiexec.chain.abi import Function
from pyiexec.chain.calls import manage_order, match_orders
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.chain.signer import create2_address
from pyiexec.protocol import ids
from pyiexec.protocol.orders import NO_DATASET, OrderOperation, order_to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, bytes32, keccak256, to_bytes

MOCKS = Path(__file__).parent / "mocks"
HOUR = 3600
#: What the callback of these tests may use: enough for whatever it tries.
PLENTY = 12_000_000
ANY = b"\x01"
INIT_CODE = bytes.fromhex("63fde0e7a83d523d3d6004601c335afa6016575f5ffd5b3d5f5f3e3d5ff3")
#: Prices of the fixture's orders, nRLC.
TASK_PRICE, SCHEDULER_STAKE = 1_000 + 1_000_000 + 10**9, 3 * 10**8
APPROVE_AND_CALL = Function.parse("approveAndCall(address,uint256,bytes)")
APPROVE = Function.parse("approve(address,uint256)")


# --- a callback that is also requester, scheduler, worker and owner of everything -------------------------------------


@dataclass
class Stage:
    """One contract plays every part; its tasks are in every state."""

    market: Any
    actor: Any
    deal: str
    #: of another deal: finalizing it calls the actor back
    ending: str
    #: of the deal, in this order
    active: str
    revealing: str
    revealed: str
    reopenable: str
    overdue: str
    #: a deal of the other workflow
    boost: str
    #: orders that can still be matched
    orders: tuple[Any, Any, Any, Any]

    def task(self, index: int) -> str:
        return ids.task_id(self.deal, index)

    def vote(self, task: str, result: bytes = b"data") -> tuple[str, str]:
        digest = bytes32(keccak256(result))
        return ids.result_hash(task, digest), ids.result_seal(self.actor.address, task, digest)

    def contribution(self, task: str) -> tuple[Any, ...]:
        return (task, *self.vote(task), NULL_ADDRESS, b"", ANY)


DIGEST = bytes32(keccak256(b"data"))


def set_the_stage(market: Any, actor: Any) -> Stage:
    me = actor.address
    market.chain.impersonate(me)
    app = market.create_asset("app", me, "its app", "WASM", b"\x01", bytes32(1), b"")
    pool = market.create_asset("workerpool", me, "its workerpool")
    market.send("setCallbackGas", PLENTY, sender=market.admin)
    rlc = Function.parse("transfer(address,uint256)").encode(me, 10**9)
    market.chain.send(market.manifest.token, rlc, market.admin)
    actor.perform(market.manifest.token, APPROVE.encode(market.hub, 10**9))

    def orders(**fields: Any) -> tuple[Any, Any, Any, Any]:
        request = market.request_order(
            app=app, dataset=NULL_ADDRESS, datasetmaxprice=0, requester=me, sign="0x01", **fields
        )
        pool_order = market.workerpool_order(workerpool=pool, sign="0x01", category=request.category)
        return market.app_order(app=app, sign="0x01"), NO_DATASET, pool_order, request

    def matched(**fields: Any) -> str:
        four = orders(**fields)
        market.chain.send(market.hub, match_orders(*four), market.stranger)
        return ids.deal_id(market.hash(four[3]), 0)

    calling = matched(callback=me)
    deal = matched(volume=8)
    ending, others = ids.task_id(calling, 0), [ids.task_id(deal, i) for i in range(4)]
    stage = Stage(market, actor, deal, ending, *others, "", "", orders(volume=2))
    market.send("initializeArray", [calling, *[deal] * 4], [0, *range(4)], sender=market.stranger)
    for task in (stage.ending, stage.revealing, stage.revealed, stage.reopenable):
        actor.does("contribute", *stage.contribution(task))
    for task in (stage.ending, stage.revealed):
        actor.does("reveal", task, DIGEST)
    # the short category: its task is over while those of the others go on
    short = market.view("countCategory") - 1
    brief = matched(category=short)
    stage.overdue = ids.task_id(brief, 0)
    market.send("initialize", brief, 0, sender=market.stranger)
    boost = orders()
    market.send("matchOrdersBoost", *map(order_to_abi, boost), sender=market.stranger)
    stage.boost = ids.deal_id(market.hash(boost[3]), 0)
    return stage


def world(market: Any, actor: Any) -> dict[str, Any]:
    """Code and storage of every contract but the actor."""
    dump = msgspec.json.decode(gzip.decompress(to_bytes(market.chain.ask("anvil_dumpState"))))
    found: dict[str, Any] = {}
    for address, account in dump["accounts"].items():
        # the dump also lists words that were only read
        storage = {slot: word for slot, word in account["storage"].items() if int(word, 16)}
        if address != actor.address.lower() and account["code"] != "0x":
            found[address] = (account["code"], storage)
    assert market.hub.lower() in found
    return found


def attempts(stage: Stage) -> Iterator[tuple[str, bytes, bool]]:
    """Every function of the hub that changes anything: label, call data, whether the actor may."""
    market, me = stage.market, stage.actor.address
    app, _, pool, request = stage.orders

    def call(name: str, *arguments: Any, works: bool, label: str = "") -> tuple[str, bytes, bool]:
        return f"{name} {label}".strip(), FUNCTIONS[name].encode(*arguments), works

    late = (stage.deal, 0)
    # the task that is being ended
    yield call("finalize", stage.ending, b"other", b"data", works=False, label="again")
    yield call("claim", stage.ending, works=False, label="too")
    yield call("claimArray", [stage.ending], works=False, label="too")
    yield call("reopen", stage.ending, works=False, label="after")
    yield call("reveal", stage.ending, DIGEST, works=False, label="again")
    yield call("contribute", *stage.contribution(stage.ending), works=False, label="again")
    shortcut = (DIGEST, b"", b"data", NULL_ADDRESS, b"", ANY)
    yield call("contributeAndFinalize", stage.ending, *shortcut, works=False, label="again")
    yield call("initialize", *late, works=False, label="again")
    yield call("initializeArray", [stage.deal], [0], works=False, label="again")
    yield call("initializeAndClaimArray", [stage.deal], [0], works=False, label="again")
    # other tasks
    yield call("initialize", stage.deal, 5, works=True)
    yield call("initializeArray", [stage.deal] * 2, [5, 6], works=True)
    yield call("contribute", *stage.contribution(stage.active), works=True)
    yield call("contributeAndFinalize", stage.active, *shortcut, works=True)
    yield call("reveal", stage.revealing, DIGEST, works=True)
    yield call("finalize", stage.revealed, b"link", b"data", works=True)
    yield call("reopen", stage.reopenable, works=False, label="early")
    yield call("claim", stage.overdue, works=True)
    yield call("claimArray", [stage.overdue], works=True)
    yield call("initializeAndClaimArray", [stage.deal], [7], works=False, label="early")
    # orders
    yield "matchOrders", match_orders(*stage.orders), True
    yield "sponsorMatchOrders", match_orders(*stage.orders, sponsor=True), True
    abi = [order_to_abi(order) for order in stage.orders]
    yield call("matchOrdersBoost", *abi, works=True)
    yield call("sponsorMatchOrdersBoost", *abi, works=True)
    result = (b"link", b"data", ANY, NULL_ADDRESS, b"")
    yield call("pushResultBoost", stage.boost, 0, *result, works=True)
    yield call("pushResultBoost", stage.deal, 0, *result, works=False, label="to a classic deal")
    yield call("claimBoost", stage.boost, 0, works=False, label="early")
    for order, name in ((app, "App"), (pool, "Workerpool"), (request, "Request")):
        yield f"manage{name}Order sign", manage_order(order, OrderOperation.SIGN), True
        yield f"manage{name}Order close", manage_order(order, OrderOperation.CLOSE), True
    yield "manageDatasetOrder", manage_order(market.dataset_order(), OrderOperation.CLOSE, b"\x01" * 65), False
    for order in stage.orders:
        name = type(order).__name__
        yield call(f"broadcast{name}", order_to_abi(order), works=True)
    # money
    free = market.account(me)[0]
    yield call("deposit", 5, works=True)
    yield call("deposit", 10**9 + 1, works=False, label="of too much")
    yield call("depositFor", 5, market.stranger, works=True)
    yield call("depositForArray", [1, 2], [me, market.stranger], works=True)
    yield call("withdraw", 5, works=True)
    yield call("withdraw", 10**15, works=False, label="of too much")
    yield call("withdrawTo", free, market.stranger, works=True)
    yield call("transfer", market.stranger, free, works=True)
    yield call("approve", market.stranger, 7, works=True)
    yield call("increaseAllowance", market.stranger, 7, works=True)
    yield call("decreaseAllowance", market.stranger, 7, works=False)
    yield call("transferFrom", me, market.stranger, 7, works=False)
    yield call("transferFrom", market.requester, me, 7, works=False, label="of another")
    yield call("approveAndCall", me, 7, b"", works=True)
    yield call("receiveApproval", market.requester, 7, market.manifest.token, b"", works=False)
    # administration
    yield call("recover", works=False)
    yield call("configure", me, "", "", 0, me, me, me, me, works=False)
    yield call("updateDomainSeparator", works=True)
    yield call("importScore", me, works=False)
    yield call("setTeeBroker", me, works=False)
    yield call("setCallbackGas", 0, works=False)
    yield call("changeRegistries", me, me, me, works=False)
    yield call("createCategory", "", "", 1, works=False)
    yield call("transferOwnership", me, works=False)
    yield call("diamondCut", [], me, b"", works=False)


def test_a_callback_can_do_nothing_it_could_not_do_right_after(market: Any, actor: Any) -> None:
    """Each function of the hub, called from inside the callback and then from outside: the same world results."""
    stage = set_the_stage(market, actor)
    chain = market.chain
    end = market.task(stage.overdue).final_deadline + 10
    assert end < market.task(stage.ending).final_deadline
    everything = list(attempts(stage))
    changing = {name for name, function in FUNCTIONS.items() if function.mutability == "nonpayable"}
    assert {label.split()[0] for label, _, _ in everything} == changing
    finalize = FUNCTIONS["finalize"].encode(stage.ending, b"link", b"data")
    start = chain.ask("evm_snapshot")
    actor.perform(market.hub, finalize, at=end)
    without = world(market, actor)
    chain.ask("evm_revert", start)
    for label, data, works in everything:
        start = chain.ask("evm_snapshot")
        actor.plan(market.hub, data)
        middle = chain.ask("evm_snapshot")
        actor.arm()
        actor.perform(market.hub, finalize, at=end)
        assert actor.outcome() is works, f"{label} inside: {actor.outcome()}"
        assert market.task(stage.ending).status == 3, label
        inside = world(market, actor)
        if not works:
            assert inside == without, label
        else:
            assert market.task(stage.ending).results == b"link", label
            assert market.conserved(actor.address), label
            chain.ask("evm_revert", middle)
            actor.perform(market.hub, finalize, at=end - 1)
            actor.carry_out(at=end)
            assert actor.outcome() is True, label
            assert world(market, actor) == inside, label
        chain.ask("evm_revert", start)


def test_tasks_ended_from_a_callback_are_settled_once_each(market: Any, actor: Any) -> None:
    stage = set_the_stage(market, actor)
    actor.does("reveal", stage.revealing, DIGEST)
    before = market.account(actor.address)
    for task in (stage.revealing, stage.revealed, stage.ending, stage.revealed):
        actor.plan(market.hub, FUNCTIONS["finalize"].encode(task, b"link", b"data"))
    actor.arm()
    actor.does("finalize", stage.ending, b"link", b"data")
    assert [actor.outcome(step) for step in range(4)] == [True, True, False, False]
    free, frozen = market.account(actor.address)
    # it pays itself: three tasks' prices and stakes come free again
    per_task = 1_000 + 10**9 + 3 * 10**8 + 3 * 10**8
    assert (free - before[0], before[1] - frozen) == (3 * per_task, 3 * per_task)
    assert market.conserved(actor.address)


def test_a_callback_ends_no_task_that_has_a_callback_of_its_own(market: Any, actor: Any) -> None:
    """The inner one would have to be offered more gas than the outer one has left of the same allowance."""
    tasks = [market.started(callback=actor.address) for _ in range(2)]
    market.send("setCallbackGas", PLENTY, sender=market.admin)
    leave = market.authorization(actor.address, tasks[1], by=market.scheduler)
    inner = (tasks[1], DIGEST, b"", b"data", NULL_ADDRESS, b"", leave)
    actor.plan(market.hub, FUNCTIONS["contributeAndFinalize"].encode(*inner))
    actor.arm()
    worker = market.workers[0]
    market.contribute_and_finalize(tasks[0], worker, callback=b"data", gas=28_000_000)
    assert actor.outcome() is False
    assert [market.task(task).status for task in tasks] == [3, 1]
    actor.arm(False)
    actor.does("contributeAndFinalize", *inner)
    assert [market.task(task).status for task in tasks] == [3, 3]


@pytest.mark.parametrize("target", ["hub", "token", "registry", "app", "workerpool", "deal", "facet"])
def test_a_callback_may_be_any_contract_of_the_system_and_achieves_nothing_there(market: Any, target: str) -> None:
    """They are called by the hub, which owns nothing at any of them that the function could move."""
    deal = create2_address(market.hub, to_bytes(market.match().id), keccak256(INIT_CODE))
    callback = {
        "hub": market.hub,
        "token": market.manifest.token,
        "registry": market.manifest.registries.workerpool,
        "app": market.app,
        "workerpool": market.workerpool,
        "deal": deal,
        "facet": market.manifest.contracts["IexecEscrowTokenFacet"].address,
    }[target]
    task = market.started(callback=callback)
    supply, hub = market.view("totalSupply"), market.account(market.hub)[0]
    market.contribute_and_finalize(task, market.workers[0], callback=b"data")
    assert market.task(task).status == 3
    assert market.view("totalSupply") == supply
    assert market.account(market.hub)[0] == hub - TASK_PRICE - SCHEDULER_STAKE
    assert market.conserved()


# --- tokens with hooks ------------------------------------------------------------------------------------------------


@dataclass
class Hooked:
    """A hub whose token calls the actor back whenever it moves the actor's money."""

    market: Any
    actor: Any
    token: str

    def balance(self, account: str) -> int:
        data = Function.parse("balanceOf(address)").encode(account)
        return int.from_bytes(self.market.chain.call(self.token, data), "big")

    def wealth(self) -> int:
        """What the actor has, inside and outside."""
        return sum(self.market.account(self.actor.address)) + self.balance(self.actor.address)

    def backed(self) -> bool:
        return self.balance(self.market.hub) == self.market.view("totalSupply")


@pytest.fixture
def hooked(market: Any, mock: Any, actor: Any, write: Any) -> Hooked:
    token = mock("HookedToken")
    give = Function.parse("give(address,uint256)")
    for account, amount in ((market.hub, market.view("totalSupply")), (actor.address, 10**6)):
        market.chain.send(token, give.encode(account, amount), market.admin)
    market.chain.send(token, Function.parse("hook(address)").encode(actor.address), market.admin)
    write("token", value=int(token, 16))
    actor.perform(token, APPROVE.encode(market.hub, 10**6))
    return Hooked(market, actor, token)


MOVES: list[tuple[str, tuple[Any, ...]]] = [
    ("deposit", (100,)),
    ("withdraw", (100,)),
    ("depositForArray", ([100, 100], ["me", "me"])),
    ("withdrawTo", (100, "me")),
    ("depositFor", (100, "me")),
]


@pytest.mark.parametrize("outer", range(len(MOVES)))
def test_a_token_that_calls_back_creates_no_money(hooked: Hooked, outer: int) -> None:
    """All moves of money within every hook of another: all is done, nothing is done twice."""
    actor, hub = hooked.actor, hooked.market.hub

    def data(index: int) -> bytes:
        name, arguments = MOVES[index]
        mine = [
            [actor.address if item == "me" else item for item in value] if isinstance(value, list) else value
            for value in arguments
        ]
        return FUNCTIONS[name].encode(*[actor.address if value == "me" else value for value in mine])

    wealth = hooked.wealth()
    for inner in range(len(MOVES)):
        actor.plan(hub, data(inner))
    actor.arm()
    actor.perform(hub, data(outer))
    assert [actor.outcome(step) for step in range(len(MOVES))] == [True] * len(MOVES)
    assert actor.number("calls()") >= 2
    assert hooked.wealth() == wealth
    assert hooked.backed()
    assert hooked.market.conserved(actor.address)


def test_what_is_being_withdrawn_cannot_be_spent_in_the_hook(hooked: Hooked) -> None:
    """Debited first: in the hook of a full withdrawal nothing is left to withdraw, to transfer or to lock."""
    market, actor = hooked.market, hooked.actor
    free = market.account(actor.address)[0]
    actor.plan(market.hub, FUNCTIONS["withdraw"].encode(1))
    actor.plan(market.hub, FUNCTIONS["transfer"].encode(market.stranger, 1))
    actor.plan(market.hub, FUNCTIONS["approveAndCall"].encode(actor.address, 1, b""))
    actor.arm()
    actor.does("withdraw", free)
    assert [actor.outcome(step) for step in range(3)] == [False, False, True]
    assert market.account(actor.address) == (0, 0)
    assert hooked.backed()


def test_what_is_being_deposited_cannot_be_spent_in_the_hook(hooked: Hooked) -> None:
    """Credited last."""
    market, actor = hooked.market, hooked.actor
    actor.does("withdraw", market.account(actor.address)[0])
    actor.plan(market.hub, FUNCTIONS["transfer"].encode(market.stranger, 1))
    actor.arm()
    actor.does("deposit", 10)
    assert actor.outcome() is False
    assert market.account(actor.address) == (10, 0)


def test_a_deposit_by_approval_within_another_is_counted_beside_it(hooked: Hooked) -> None:
    """`approveAndCall` of the token, from the token's own hook, through `receiveApproval`."""
    actor, wealth = hooked.actor, hooked.wealth()
    free = hooked.market.account(actor.address)[0]
    actor.plan(hooked.token, APPROVE_AND_CALL.encode(hooked.market.hub, 5, b""))
    actor.arm()
    actor.perform(hooked.token, APPROVE_AND_CALL.encode(hooked.market.hub, 7, b""))
    assert actor.outcome() is True
    # the hook comes twice, before the money moves and after
    assert hooked.market.account(actor.address) == (free + 7 + 2 * 5, 0)
    assert hooked.wealth() == wealth
    assert hooked.backed()


def test_an_owner_in_the_hook_of_a_token_recovers_what_is_being_deposited(hooked: Hooked) -> None:
    """Not promised: a token that calls back while it moves money, in the hands of the hub's owner. RLC does not."""
    market, actor = hooked.market, hooked.actor
    market.send("transferOwnership", actor.address, sender=market.admin)
    actor.plan(market.hub, FUNCTIONS["recover"].encode())
    actor.arm()
    free = market.account(actor.address)[0]
    actor.does("deposit", 100)
    assert market.account(actor.address)[0] == free + 2 * 100
    assert not hooked.backed()


# --- receivers of assets ----------------------------------------------------------------------------------------------


def test_a_receiver_of_an_asset_that_passes_it_on_at_once_leaves_the_lists_whole(market: Any, actor: Any) -> None:
    registry = market.manifest.registries.app
    token_id = int(market.app, 16)
    onward = registries.FUNCTIONS["transferFrom"].encode(actor.address, market.stranger, token_id)
    actor.plan(registry, onward)
    actor.plan(registry, onward)
    actor.arm()
    safe = Function.parse("safeTransferFrom(address,address,uint256)")
    market.chain.send(registry, safe.encode(market.app_owner, actor.address, token_id), market.app_owner)
    assert [actor.outcome(step) for step in range(2)] == [True, False]

    def ask(signature: str, *arguments: Any) -> Any:
        function = Function.parse(signature)
        return function.decode(market.chain.call(registry, function.encode(*arguments)))[0]

    owners = (market.app_owner, actor.address, market.stranger)
    assert [ask("balanceOf(address) returns (uint256)", owner) for owner in owners] == [0, 0, 1]
    assert ask("ownerOf(uint256) returns (address)", token_id) == market.stranger
    assert ask("tokenOfOwnerByIndex(address,uint256) returns (uint256)", market.stranger, 0) == token_id
    assert ask("totalSupply() returns (uint256)") == 1


def test_a_receiver_of_a_workerpool_that_changes_its_policy_at_once_is_its_owner_already(
    market: Any, actor: Any
) -> None:
    policy = Function.parse("changePolicy(uint256,uint256)").encode(50, 10)
    actor.plan(market.workerpool, policy)
    actor.arm()
    safe = Function.parse("safeTransferFrom(address,address,uint256)")
    data = safe.encode(market.scheduler, actor.address, int(market.workerpool, 16))
    market.chain.send(market.manifest.registries.workerpool, data, market.scheduler)
    assert actor.outcome() is True
    _, _, stake, reward = market.view("viewWorkerpool", market.workerpool)
    assert (stake, reward) == (50, 10)
