"""Registries and the assets that they make."""

from __future__ import annotations

from typing import Any

from pyiexec.protocol.primitives import bytes32, checksum, keccak256, to_hex

from .. import moves
from ..moves import Text, asset, registry
from ..stage import OWNERS, PEOPLE, Refusal, Stage
from ..worlds import Call

KINDS = ("app", "dataset", "workerpool")
FIELDS = {
    "app": ("m_appName", "m_appType", "m_appMultiaddr", "m_appChecksum", "m_appMREnclave"),
    "dataset": ("m_datasetName", "m_datasetMultiaddr", "m_datasetChecksum"),
    "workerpool": ("m_workerpoolDescription", "m_workerStakeRatioPolicy", "m_schedulerRewardRatioPolicy"),
}
INTERFACES = ("0x01ffc9a7", "0x80ac58cd", "0x5b5e139f", "0x780e9d63", "0xffffffff", "0x150b7a02")
NOT_OWNER = "Ownable: caller is not the owner"
NO_NAMES = "Operation not supported on this chain"
UNKNOWN = 12345

#: Reasons are those of 6.1, for which 6.2 has custom errors; comparison.py has both.
REFUSALS = (
    "ownerOf: ERC721: owner query for nonexistent token",
    "getApproved: ERC721: approved query for nonexistent token",
    "approve: ERC721: owner query for nonexistent token",
    "approve: ERC721: approve caller is not owner nor approved for all",
    "balanceOf: ERC721: balance query for the zero address",
    "tokenURI: ERC721Metadata: URI query for nonexistent token",
    "tokenByIndex: EnumerableMap: index out of bounds",
    "tokenOfOwnerByIndex: EnumerableSet: index out of bounds",
    "transferFrom: ERC721: transfer caller is not owner nor approved",
    "transferFrom: ERC721: operator query for nonexistent token",
    "transferFrom: ERC721: transfer of token that is not own",
    "transferFrom: ERC721: transfer to the zero address",
    "safeTransferFrom: ERC721: transfer caller is not owner nor approved",
    "safeTransferFrom: ERC721: transfer to non ERC721Receiver implementer",
    f"initialize: {NOT_OWNER}",
    "initialize: initialized before",
    f"setBaseURI: {NOT_OWNER}",
    f"setName: {NOT_OWNER}",
    f"transferOwnership: {NOT_OWNER}",
    f"renounceOwnership: {NOT_OWNER}",
    "transferOwnership: Ownable: new owner is the zero address",
    "createApp: Create2: Failed on deploy",
    "createDataset: Create2: Failed on deploy",
    "createWorkerpool: Create2: Failed on deploy",
    "createApp: ERC721: mint to the zero address",
    "initialize: already initialized",
    "setName: caller is not the owner",
    "setName: Operation not supported on this chain",
    "changePolicy: caller is not the owner",
    "changePolicy: reward above the whole",
    "nowhere: no function of an asset",
)


def _fields(stage: Stage, kind: str) -> list[Any]:
    dice = stage.dice
    name = Text(f"{kind} {dice.randrange(10**9)} " + "n" * dice.choice([0, 5, 60]))
    place = dice.randbytes(dice.choice([0, 20, 50]))
    checksum_ = bytes32(dice.getrandbits(256))
    if kind == "app":
        return [name, Text("DOCKER"), place, checksum_, dice.randbytes(dice.choice([0, 171]))]
    return [name, place, checksum_] if kind == "dataset" else [name]


def _foresee(stage: Stage, kind: str, owner: str, fields: list[Any], name: str) -> str:
    """Name the asset that does not exist yet, by what the registries say of its address."""
    call = registry("stranger", kind, f"predict{kind.capitalize()}", owner, *fields)
    for world in stage.chain.worlds:
        transaction = call.transaction(world)
        answer = stage.chain.ask("eth_call", transaction, "latest")
        world.call_it(name, checksum("0x" + answer[-40:]))
    stage.see(call)
    return name


def _name_code(stage: Stage, kind: str) -> None:
    """Creation code of an asset is each registry's own; that its hash is the hash of it is not."""
    call = registry("stranger", kind, "proxyCode")
    for world in stage.chain.worlds:
        (code,) = call.function.decode(
            bytes.fromhex(stage.chain.ask("eth_call", call.transaction(world), "latest")[2:])
        )
        world.call_it(f"{kind} code", to_hex(code))
        world.call_it(f"hash of {kind} code", to_hex(keccak256(code)))


def _create(stage: Stage, kind: str, owner: str, name: str) -> Call:
    create = f"create{kind.capitalize()}"
    fields = _fields(stage, kind)
    _foresee(stage, kind, owner, fields, name)
    call = registry(stage.dice.choice(PEOPLE), kind, create, owner, *fields)
    stage.do(call)
    return call


def assets_created(stage: Stage) -> None:
    for kind in KINDS:
        owner = stage.dice.choice(PEOPLE)
        _name_code(stage, kind)
        first = _create(stage, kind, owner, f"{kind} 2")
        _create(stage, kind, owner, f"{kind} 3")
        stage.refuse(first, "Create2: Failed on deploy")
        if kind == "app":
            nobody = registry("stranger", kind, "createApp", "nobody", *_fields(stage, kind))
            stage.refuse(nobody, "ERC721: mint to the zero address")
        for name in (f"{kind} 2", f"{kind} 3"):
            stage.see(*(asset("stranger", name, field) for field in (*FIELDS[kind], "owner", "registry")))
            stage.see(moves.view(f"view{kind.capitalize()}", name))
        stage.see(
            *(
                registry("stranger", kind, name)
                for name in (
                    "name",
                    "symbol",
                    "totalSupply",
                    "owner",
                    "initialized",
                    "previous",
                    "baseURI",
                    "master",
                    "proxyCode",
                    "proxyCodeHash",
                )
            ),
            *(registry("stranger", kind, "tokenByIndex", number) for number in range(4)),
            *(registry("stranger", kind, "tokenOfOwnerByIndex", owner, number) for number in (0, 1)),
            *(registry("stranger", kind, "supportsInterface", interface) for interface in INTERFACES),
            *(registry("stranger", kind, "isRegistered", name) for name in (f"{kind} 0", f"{kind} 3", "stranger")),
            registry("stranger", kind, "balanceOf", owner),
            registry("stranger", kind, "ownerOf", f"{kind} 2"),
            registry("stranger", kind, "getApproved", f"{kind} 2"),
        )
        refusals = (
            (registry("stranger", kind, "tokenByIndex", 4), "EnumerableMap: index out of bounds"),
            (registry("stranger", kind, "tokenOfOwnerByIndex", owner, 9), "EnumerableSet: index out of bounds"),
            (registry("stranger", kind, "ownerOf", UNKNOWN), "ERC721: owner query for nonexistent token"),
            (registry("stranger", kind, "getApproved", UNKNOWN), "ERC721: approved query for nonexistent token"),
            (registry("stranger", kind, "tokenURI", UNKNOWN), "ERC721Metadata: URI query for nonexistent token"),
            (registry("stranger", kind, "balanceOf", "nobody"), "ERC721: balance query for the zero address"),
        )
        for call, reason in refusals:
            stage.see_refused(call, reason)


def assets_transferred(stage: Stage) -> None:
    for kind in KINDS:
        token = f"{kind} 0"
        owner = OWNERS[token]
        friend, agent, broker = stage.dice.sample([name for name in PEOPLE if name != owner], 3)
        unapproved = "ERC721: transfer caller is not owner nor approved"
        stage.refuse_all(
            [
                Refusal(registry(friend, kind, "transferFrom", owner, friend, token), unapproved),
                Refusal(registry(friend, kind, "safeTransferFrom", owner, friend, token), unapproved),
                Refusal(
                    registry(owner, kind, "transferFrom", owner, friend, UNKNOWN),
                    "ERC721: operator query for nonexistent token",
                ),
                Refusal(
                    registry(owner, kind, "transferFrom", agent, friend, token),
                    "ERC721: transfer of token that is not own",
                ),
                Refusal(
                    registry(owner, kind, "transferFrom", owner, "nobody", token),
                    "ERC721: transfer to the zero address",
                ),
                Refusal(
                    registry(owner, kind, "safeTransferFrom", owner, "recorder", token),
                    "ERC721: transfer to non ERC721Receiver implementer",
                ),
                Refusal(
                    registry(friend, kind, "approve", friend, token),
                    "ERC721: approve caller is not owner nor approved for all",
                ),
                Refusal(registry(owner, kind, "approve", friend, UNKNOWN), "ERC721: owner query for nonexistent token"),
            ]
        )
        stage.do(registry(owner, kind, "approve", agent, token))
        stage.see(registry("stranger", kind, "getApproved", token))
        stage.do(registry(agent, kind, "transferFrom", owner, friend, token))
        stage.do(registry(friend, kind, "setApprovalForAll", broker, True))
        stage.see(registry("stranger", kind, "isApprovedForAll", friend, broker))
        stage.do(registry(broker, kind, "approve", agent, token))
        stage.do(registry(broker, kind, "safeTransferFrom", friend, agent, token))
        stage.do(registry(friend, kind, "setApprovalForAll", broker, False))
        stage.do(registry(agent, kind, "safeTransferFrom/4", agent, owner, token, b"data"))
        stage.see(
            registry("stranger", kind, "ownerOf", token),
            asset("stranger", token, "owner"),
            *(registry("stranger", kind, "balanceOf", name) for name in (owner, friend, agent)),
            registry("stranger", kind, "tokenOfOwnerByIndex", owner, 0),
        )


def registries_administered(stage: Stage) -> None:
    dice = stage.dice
    for kind in KINDS:
        base = dice.choice(["", "https://nfts.example.org/", "x" * 90])
        fields = {"app": ["", "", b"", bytes32(1), b""], "dataset": ["", b"", bytes32(1)], "workerpool": [""]}[kind]
        texts = [Text(field) if field == "" else field for field in fields]
        token = f"{kind} 0"
        owner = OWNERS[token]
        stage.refuse_all(
            [
                Refusal(registry("stranger", kind, "initialize", "nobody"), NOT_OWNER),
                Refusal(registry("admin", kind, "initialize", "nobody"), row="initialized before"),
                Refusal(registry("stranger", kind, "setBaseURI", Text(base)), NOT_OWNER),
                Refusal(registry("stranger", kind, "setName", "nobody", Text("name")), NOT_OWNER),
                Refusal(registry("admin", kind, "setName", "stranger", Text("name")), NO_NAMES),
                Refusal(asset(owner, token, "setName", "stranger", Text("name")), NO_NAMES),
                Refusal(registry("stranger", kind, "transferOwnership", "stranger"), NOT_OWNER),
                Refusal(registry("stranger", kind, "renounceOwnership"), NOT_OWNER),
                Refusal(
                    registry("admin", kind, "transferOwnership", "nobody"),
                    "Ownable: new owner is the zero address",
                ),
                Refusal(asset("stranger", token, "initialize", *texts), "already initialized"),
                Refusal(asset("worker 6", token, "setName", "nobody", Text("name")), "caller is not the owner"),
                Refusal(moves.call("stranger", token, moves.HUB["nowhere"]), row="no function of an asset"),
                Refusal(moves.call("stranger", token, moves.HUB["nowhere"], value=1), row="no function of an asset"),
            ]
        )
        if kind == "workerpool":
            ratios = dice.choice([0, 30, 100, 1000]), dice.choice([0, 1, 50, 100])
            stage.refuse_all(
                [
                    Refusal(asset("worker 6", token, "changePolicy", *ratios), "caller is not the owner"),
                    Refusal(asset(owner, token, "changePolicy", 30, 101), row="reward above the whole"),
                ]
            )
            stage.do(asset(owner, token, "changePolicy", *ratios))
            stage.see(*(asset("stranger", token, field) for field in FIELDS[kind]))
            stage.deal(pool=token)
        stage.do(registry("admin", kind, "setBaseURI", Text(base)))
        for world in stage.chain.worlds:
            world.call_it(f"URI of {token}", f"{base}{int(world[token], 16)}")
        stage.see(registry("stranger", kind, "baseURI"), registry("stranger", kind, "tokenURI", token))
        stage.do(registry("admin", kind, "transferOwnership", "stranger"))
        stage.do(registry("stranger", kind, "renounceOwnership"))
        stage.see(registry("stranger", kind, "owner"))
    stage.look()


SCENES = (assets_created, assets_transferred, registries_administered)
