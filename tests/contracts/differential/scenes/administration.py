"""What the hub's owner does, and what anybody may ask of its settings; and diamonds as they are made."""

from __future__ import annotations

from benchmarks.reference.markets import diamond_creation

from pyiexec.chain.abi import Function
from pyiexec.protocol.eip712 import Domain, domain_separator
from pyiexec.protocol.primitives import NULL_ADDRESS, checksum, to_hex

from .. import moves
from ..moves import Text, hub, view
from ..stage import Refusal, Stage
from ..worlds import Outcome

NOT_OWNER = "Ownable: caller is not the owner"
REFUSALS = (
    *(
        f"{name}: {NOT_OWNER}"
        for name in ("setTeeBroker", "setCallbackGas", "changeRegistries", "createCategory", "configure")
    ),
    "configure: already-configured",
    "updateDomainSeparator: not-configured",
    "importScore: score-already-imported",
    "importScore: no older hub",
    "deposit: failled-transferFrom",
    "viewCategory: beyond the last",
    "viewCategoryABILegacy: beyond the last",
    "viewApp: not an asset",
    "viewDataset: not an asset",
    "viewWorkerpool: not an asset",
)
CONSTANTS = (
    "contribution_deadline_ratio",
    "reveal_deadline_ratio",
    "final_deadline_ratio",
    "workerpool_stake_ratio",
    "kitty_ratio",
    "kitty_min",
    "kitty_address",
    "groupmember_purpose",
)


def _settings(older: str = "nobody") -> list[object]:
    registries = ["app_registry", "dataset_registry", "workerpool_registry"]
    return ["stingy token", Text("Staked RLC"), Text("SRLC"), 9, *registries, older]


def _name_separators(stage: Stage) -> None:
    for world in stage.chain.worlds:
        for name in ("hub", "bare hub"):
            separator = domain_separator(Domain(world.domain.chain_id, checksum(world[name])))
            world.call_it(f"separator of {name}", to_hex(separator))


def a_hub_configured(stage: Stage) -> None:
    dice = stage.dice
    _name_separators(stage)
    stage.refuse_all(
        [
            Refusal(hub("stranger", "configure", *_settings(), to="bare hub"), NOT_OWNER),
            Refusal(hub("admin", "configure", *_settings()), "already-configured"),
            Refusal(hub("stranger", "updateDomainSeparator", to="bare hub"), "not-configured"),
            Refusal(hub("stranger", "importScore", "worker 1"), row="no older hub"),
        ]
    )
    unset = ("name", "symbol", "decimals", "token", "eip712domain_separator", "countCategory", "callbackgas")
    stage.see(*(hub("stranger", name, to="bare hub") for name in unset))
    stage.do(hub("admin", "configure", *_settings("older hub"), to="bare hub"))
    stage.refuse_all(
        [
            Refusal(hub("admin", "configure", *_settings(), to="bare hub"), "already-configured"),
            Refusal(hub("stranger", "deposit", 5, to="bare hub"), "failled-transferFrom"),
        ]
    )
    stage.do_all([hub("stranger", "updateDomainSeparator", to="bare hub"), hub("stranger", "updateDomainSeparator")])
    worker = dice.choice(["worker 0", "worker 1", "worker 4"])
    stage.do(hub("stranger", "importScore", worker, to="bare hub"))
    stage.refuse(hub("stranger", "importScore", worker, to="bare hub"), "score-already-imported")
    names = ("name", "symbol", "decimals", "token", "appregistry", "datasetregistry", "workerpoolregistry", "teebroker")
    for to in ("hub", "bare hub"):
        stage.see(*(hub("stranger", name, to=to) for name in (*names, "eip712domain_separator", "countCategory")))
        stage.see(hub("stranger", "domain", to=to), hub("stranger", "viewScore", worker, to=to))
        stage.see(hub("stranger", "owner", to=to))
    stage.see(*(view(name) for name in CONSTANTS))


def settings_changed(stage: Stage) -> None:
    dice = stage.dice
    gas = dice.choice([100_000, 200_000, 300_000])
    stage.refuse_all(
        [
            Refusal(hub("stranger", "setTeeBroker", "broker"), NOT_OWNER),
            Refusal(hub("stranger", "setCallbackGas", gas), NOT_OWNER),
            Refusal(hub("stranger", "changeRegistries", "nobody", "nobody", "nobody"), NOT_OWNER),
            Refusal(hub("stranger", "createCategory", Text("name"), Text(""), 60), NOT_OWNER),
        ]
    )
    name = Text("name" * dice.randrange(30))
    stage.do(hub("admin", "createCategory", name, Text('""'), dice.choice([0, 5, 86_400])))
    stage.do_all([hub("admin", "setTeeBroker", "broker"), hub("admin", "setCallbackGas", gas)])
    stage.see(view("teebroker"), view("callbackgas"), view("countCategory"))
    for number in (0, 4, 5):
        stage.see(view("viewCategory", number), view("viewCategoryABILegacy", number))
    stage.see_refused(view("viewCategory", 6), row="beyond the last")
    stage.see_refused(view("viewCategoryABILegacy", 6), row="beyond the last")
    for kind in ("App", "Dataset", "Workerpool"):
        stage.see(view(f"view{kind}", f"{kind.lower()} {dice.choice([0, 1])}"))
        stage.see_refused(view(f"view{kind}", dice.choice(["stranger", "yes"])), row="not an asset")
    # other registries know nothing of our assets
    stage.do(hub("admin", "changeRegistries", "dataset_registry", "workerpool_registry", "app_registry"))
    stage.see(view("appregistry"), view("datasetregistry"), view("workerpoolregistry"))
    stage.refuse(moves.orders("stranger", "matchOrders", stage.four()), "iExecV5-matchOrders-0x20")
    stage.do(hub("admin", "changeRegistries", "app_registry", "dataset_registry", "workerpool_registry"))
    stage.deal()
    stage.look()


# --- diamonds -----------------------------------------------------------------------------------------------------

ADD, REPLACE, REMOVE = 0, 1, 2
RECEIVE_APPROVAL = Function.parse("receiveApproval(address,uint256,address,bytes) returns (bool)")
ONE, TWO, THREE = b"\x01\x00\x00\x01", b"\x02\x00\x00\x02", b"\x03\x00\x00\x03"

CUT_REFUSALS = (
    *(
        f"cut: {reason}"
        for reason in (
            "NoSelectorsProvidedForFacetForCut()",
            "CannotAddSelectorsToZeroAddress()",
            "NoBytecodeAtAddress(LibDiamondCut: Add facet has no code)",
            "CannotAddFunctionToDiamondThatAlreadyExists()",
            "CannotReplaceFunctionsFromFacetWithZeroAddress()",
            "NoBytecodeAtAddress(LibDiamondCut: Replace facet has no code)",
            "CannotReplaceFunctionWithTheSameFunctionFromTheSameFacet()",
            "CannotReplaceFunctionThatDoesNotExists()",
            "RemoveFacetAddressMustBeZeroAddress()",
            "CannotRemoveFunctionThatDoesNotExist()",
            "NoBytecodeAtAddress(LibDiamondCut: _init address has no code)",
            "InitializationFunctionReverted()",
            "certainly not",
            "no such action",
        )
    ),
    "nowhere: FunctionNotFound()",
)


def _create(stage: Stage, cuts: list[tuple[str, int, list[bytes]]], init: str, data: bytes) -> Outcome:
    """Make a diamond of shared contracts in both worlds."""
    outcomes = []
    for world in stage.chain.worlds:
        named = [(world[facet], action, selectors) for facet, action, selectors in cuts]
        code = diamond_creation(world.market.diamond, named, world["admin"], world[init], data)
        created, refusal, events = stage.chain.create(world, "admin", to_hex(code), stage.later())
        outcomes.append(Outcome(created is not None, None, refusal, events))
    published, ours = outcomes
    if published != ours:
        raise stage.fail(f"a diamond of {cuts}, {init}", f"published: {published}", f"ours:      {ours}")
    return published


def diamonds_made(stage: Stage) -> None:
    one, other = stage.dice.sample(["yes", "no", "recorder", "refuser", "spender"], 2)
    base = (one, ADD, [ONE, TWO])
    # initializers that keep no state: what they would write is not the diamond's
    told = RECEIVE_APPROVAL.encode(NULL_ADDRESS, 5, NULL_ADDRESS, b"")
    cases: tuple[tuple[list[tuple[str, int, list[bytes]]], str, bytes, str], ...] = (
        ([(one, ADD, [])], "nobody", b"", "NoSelectorsProvidedForFacetForCut()"),
        ([("nobody", ADD, [ONE])], "nobody", b"", "CannotAddSelectorsToZeroAddress()"),
        ([("stranger", ADD, [ONE])], "nobody", b"", "NoBytecodeAtAddress(LibDiamondCut: Add facet has no code)"),
        ([base, (other, ADD, [THREE, TWO])], "nobody", b"", "CannotAddFunctionToDiamondThatAlreadyExists()"),
        ([base, ("nobody", REPLACE, [ONE])], "nobody", b"", "CannotReplaceFunctionsFromFacetWithZeroAddress()"),
        (
            [base, ("stranger", REPLACE, [ONE])],
            "nobody",
            b"",
            "NoBytecodeAtAddress(LibDiamondCut: Replace facet has no code)",
        ),
        (
            [base, (one, REPLACE, [TWO])],
            "nobody",
            b"",
            "CannotReplaceFunctionWithTheSameFunctionFromTheSameFacet()",
        ),
        ([base, (other, REPLACE, [THREE])], "nobody", b"", "CannotReplaceFunctionThatDoesNotExists()"),
        ([base, (other, REMOVE, [ONE])], "nobody", b"", "RemoveFacetAddressMustBeZeroAddress()"),
        ([base, ("nobody", REMOVE, [THREE])], "nobody", b"", "CannotRemoveFunctionThatDoesNotExist()"),
        ([base], "stranger", b"", "NoBytecodeAtAddress(LibDiamondCut: _init address has no code)"),
        ([base], "burner", told, "InitializationFunctionReverted()"),
        ([base], "grumbler", told, "certainly not"),
        ([(one, 3, [ONE])], "nobody", b"", ""),
    )
    for cuts, init, data, reason in cases:
        outcome = _create(stage, cuts, init, data)
        if outcome.succeeded or outcome.reason != reason:
            raise stage.fail(f"should have been refused for {reason}: {cuts}: {outcome}")
        stage.coverage.note_refusal("cut", outcome, "no such action")
    selector = RECEIVE_APPROVAL.selector
    whole = [
        base,
        (other, ADD, [THREE]),
        (other, REPLACE, [TWO]),
        ("nobody", REMOVE, [ONE]),
        ("spender", ADD, [selector]),
    ]
    made = _create(stage, whole, *stage.dice.choice([("nobody", b""), ("spender", told)]))
    stage.coverage.note_events(made.events)
    stage.coverage.calls += 1
    stage.coverage.succeeded += 1
    for amount in (0, 5):
        stage.do(moves.call("stranger", "the new diamond", RECEIVE_APPROVAL, "stranger", amount, "token", b""))
    nowhere = hub("stranger", "nowhere", to="the new diamond")
    stage.refuse(nowhere, "FunctionNotFound()")
    _create(stage, [], "nobody", b"")
    stage.refuse(nowhere, "FunctionNotFound()")


SCENES = (a_hub_configured, settings_changed, diamonds_made)
