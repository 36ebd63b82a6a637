"""The last size that is taken and the first that is not, for what no other file is about (see contracts/SPEC.md)."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.abi import Function, Parameter, encode
from pyiexec.chain.artifacts import load
from pyiexec.chain.calls import manage_order, match_orders
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol import ids
from pyiexec.protocol.orders import OrderOperation
from pyiexec.protocol.primitives import NULL_ADDRESS, bytes32, keccak256

ADD = 0
CUTS = Parameter(
    "(address,uint8,bytes4[])[]", components=(Parameter("address"), Parameter("uint8"), Parameter("bytes4[]"))
)
ARGUMENTS = Parameter(
    "(address,address,bytes)", components=(Parameter("address"), Parameter("address"), Parameter("bytes"))
)
PLANTED = "0x00000000000000000000000000000000000C0DE1"


def new_selectors(count: int, start: int = 0) -> list[bytes]:
    return [keccak256(number.to_bytes(4, "big"))[:4] for number in range(start, start + count)]


def refused_empty(market: Any, reverted: Any, name: str, *arguments: Any, sender: str) -> None:
    with pytest.raises(reverted) as caught:
        market.send(name, *arguments, sender=sender)
    assert caught.value.data == b""


# --- signatures and params --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1024, 1025])
def test_signatures_have_1024_bytes_at_most(market: Any, mock: Any, reverted: Any, size: int) -> None:
    """A contract wallet takes them of any length; the hub does not."""
    wallet = mock("Wallet", 0)
    market.fund(wallet)
    request = market.request_order(requester=wallet, sign="0x" + "11" * size)
    if size <= 1024:
        assert market.deal(market.match(request=request).id).exists
        return
    orders = market.app_order(), market.dataset_order(), market.workerpool_order(), request
    long = b"\x11" * size
    task = market.started()
    vote = ids.result_hash(task, market.digest("right")), bytes32(1), NULL_ADDRESS, b"", long
    for data, sender in (
        (match_orders(*orders), market.stranger),
        (manage_order(orders[0], OrderOperation.CLOSE, long), market.app_owner),
        (Function.parse("contribute(bytes32,bytes32,bytes32,address,bytes,bytes)").encode(task, *vote), wallet),
    ):
        with pytest.raises(reverted) as caught:
            market.chain.call(market.hub, data, sender=sender)
        assert caught.value.data == b""


def test_a_deal_with_everything_in_it_fits_its_code(market: Any) -> None:
    """Dataset, beneficiary, callback, sponsor, tag and the longest params: each reads back."""
    tag = bytes32(1 << 100)
    match = market.match(
        params="p" * 4096,
        beneficiary=market.broker,
        callback=market.enclave,
        tag=tag,
        sponsored=True,
        category=2,
    )
    deal = market.deal(match.id)
    assert (deal.params, deal.beneficiary, deal.callback, deal.tag) == ("p" * 4096, market.broker, market.enclave, tag)
    assert (deal.sponsor, deal.dataset.pointer, deal.requester) == (market.sponsor, market.dataset, market.requester)


# --- categories and names ---------------------------------------------------------------------------------------------


def test_names_of_categories_have_256_bytes_and_descriptions_2048(market: Any, reverted: Any) -> None:
    number = market.view("countCategory")
    market.send("createCategory", "n" * 256, "d" * 2048, 1, sender=market.admin)
    assert market.view("viewCategory", number) == ("n" * 256, "d" * 2048, 1)
    refused_empty(market, reverted, "createCategory", "n" * 257, "", 1, sender=market.admin)
    refused_empty(market, reverted, "createCategory", "", "d" * 2049, 1, sender=market.admin)


def test_there_are_65536_categories_at_most(market: Any, reverted: Any, write: Any) -> None:
    write("category_count", value=2**16 - 1)
    market.send("createCategory", "last", "", 300, sender=market.admin)
    assert market.view("countCategory") == 2**16
    assert market.deal(market.match(category=2**16 - 1).id).category == 2**16 - 1
    with pytest.raises(reverted, match=r"^too many categories$"):
        market.send("createCategory", "one more", "", 300, sender=market.admin)


def test_the_token_has_a_name_of_128_bytes_and_a_symbol_of_32(market: Any, reverted: Any) -> None:
    """A hub is configured once, so this is one of its own."""
    cuts = [
        (market.manifest.contracts[name].address, ADD, [FUNCTIONS[function].selector for function in functions])
        for name, functions in (
            ("IexecConfigurationFacet", ["configure"]),
            ("IexecPocoAccessorsFacet", ["name", "symbol"]),
        )
    ]
    data = load("Diamond").initcode + encode([CUTS, ARGUMENTS], [cuts, (market.admin, NULL_ADDRESS, b"")])
    hub = market.chain.send(None, data, market.admin).contract

    def configure(name: str, symbol: str) -> None:
        arguments = (market.manifest.token, name, symbol, 9, *[market.stranger] * 3, NULL_ADDRESS)
        market.chain.send(hub, FUNCTIONS["configure"].encode(*arguments), market.admin)

    for name, symbol in (("n" * 129, "s"), ("n", "s" * 33)):
        with pytest.raises(reverted) as caught:
            configure(name, symbol)
        assert caught.value.data == b""
    configure("n" * 128, "s" * 32)
    for view, text in (("name", "n" * 128), ("symbol", "s" * 32)):
        assert FUNCTIONS[view].decode(market.chain.call(hub, FUNCTIONS[view].encode())) == (text,)


def test_a_supply_beyond_128_bits_is_refused(market: Any, reverted: Any, mock: Any, write: Any) -> None:
    """As a token of astronomic supply might bring; RLC has 2**57."""
    token = mock("HookedToken")
    give, approve = Function.parse("give(address,uint256)"), Function.parse("approve(address,uint256)")
    market.chain.send(token, give.encode(market.admin, 2**200), market.admin)
    market.chain.send(token, approve.encode(market.hub, 2**200), market.admin)
    write("token", value=int(token, 16))
    room = 2**128 - 1 - market.view("totalSupply")
    with pytest.raises(reverted, match=r"^ERC20: supply exceeds 128 bits$"):
        market.send("deposit", room + 1, sender=market.admin)
    market.send("deposit", room, sender=market.admin)
    assert market.view("totalSupply") == 2**128 - 1
    assert market.account(market.admin)[0] == room
    with pytest.raises(reverted, match=r"^ERC20: supply exceeds 128 bits$"):
        market.send("depositFor", 1, market.stranger, sender=market.admin)


# --- assets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "fits"), [(4096, True), (4097, False)])
def test_texts_of_foreign_assets_have_4096_bytes_at_most(market: Any, reverted: Any, size: int, fits: bool) -> None:
    """Whatever stands at the address answers every getter with the same string here."""
    # offset, length, and nothing but zeros
    padded = (size + 31) // 32 * 32
    market.chain.ask("anvil_setCode", PLANTED, f"0x60205f5261{size:04x}60205261{64 + padded:04x}5ff3")
    if fits:
        assert market.view("viewWorkerpool", PLANTED)[1] == "\0" * size
    else:
        with pytest.raises(reverted) as caught:
            market.view("viewWorkerpool", PLANTED)
        assert caught.value.data == b""


@pytest.mark.parametrize(("size", "fits"), [(6144, True), (6145, False)])
def test_byte_strings_of_foreign_assets_have_6144_bytes_at_most(
    market: Any, reverted: Any, size: int, fits: bool
) -> None:
    # m_datasetMultiaddr() is answered with `size` bytes, every other getter with none
    selector = Function.parse("m_datasetMultiaddr()").selector.hex()
    length = (
        f"63{selector}5f3560e01c14"  # is it that selector?
        f"61{size:04x}02"  # times size
    )
    code = f"60205f52{length}6020526120005ff3"
    market.chain.ask("anvil_setCode", PLANTED, "0x" + code)
    if fits:
        assert market.view("viewDataset", PLANTED)[2] == bytes(size)
    else:
        with pytest.raises(reverted) as caught:
            market.view("viewDataset", PLANTED)
        assert caught.value.data == b""


# --- the diamond ------------------------------------------------------------------------------------------------------


def test_a_cut_takes_32_parts_of_128_selectors(market: Any, reverted: Any) -> None:
    target = market.manifest.contracts["OwnershipFacet"].address
    parts = [(target, ADD, [selector]) for selector in new_selectors(33)]
    refused_empty(market, reverted, "diamondCut", parts, NULL_ADDRESS, b"", sender=market.admin)
    market.send("diamondCut", parts[:32], NULL_ADDRESS, b"", sender=market.admin)
    wide = new_selectors(129, 100)
    refused_empty(market, reverted, "diamondCut", [(target, ADD, wide)], NULL_ADDRESS, b"", sender=market.admin)
    market.send("diamondCut", [(target, ADD, wide[:128])], NULL_ADDRESS, b"", sender=market.admin)
    assert len(market.view("facetFunctionSelectors", target)) == 2 + 32 + 128


def test_an_initialiser_is_given_4096_bytes_at_most(market: Any, reverted: Any) -> None:
    """And as many of its reason are passed on."""
    # reverts with what it was called with
    market.chain.ask("anvil_setCode", PLANTED, "0x365f5f37365ffd")
    with pytest.raises(reverted) as caught:
        market.send("diamondCut", [], PLANTED, b"\x11" * 4096, sender=market.admin)
    assert caught.value.data == b"\x11" * 4096
    refused_empty(market, reverted, "diamondCut", [], PLANTED, b"\x11" * 4097, sender=market.admin)


def test_the_loupe_shows_32_facets_and_128_functions_of_each(market: Any, reverted: Any) -> None:
    """Beyond that `facets` reverts rather than tell a part; the other questions are still answered."""
    loupe, cutter = (market.manifest.contracts[name].address for name in ("DiamondLoupeFacet", "DiamondCutFacet"))
    views = {name: Function.parse(f"{name}() view returns ({kind})") for name, kind in (
        ("facets", "(address,bytes4[])[]"), ("facetAddresses", "address[]"))}  # fmt: skip
    cut = Function.parse("diamondCut((address,uint8,bytes4[])[],address,bytes)")
    parts = [(loupe, ADD, [view.selector for view in views.values()]), (cutter, ADD, [cut.selector])]
    data = load("Diamond").initcode + encode([CUTS, ARGUMENTS], [parts, (market.admin, NULL_ADDRESS, b"")])
    bare = market.chain.send(None, data, market.admin).contract
    others = [f"0x{0xFACE7 << 8 | number:040x}" for number in range(31)]
    for other in others:
        market.chain.ask("anvil_setCode", other, "0x00")
    selectors = new_selectors(31)

    def ask(name: str) -> Any:
        return views[name].decode(market.chain.call(bare, views[name].encode()))[0]

    def add(items: list[Any]) -> None:
        market.chain.send(bare, cut.encode(items, NULL_ADDRESS, b""), market.admin)

    add([(other, ADD, [selector]) for other, selector in zip(others[:30], selectors[:30], strict=True)])
    assert len(ask("facets")) == len(ask("facetAddresses")) == 32
    add([(others[30], ADD, [selectors[30]])])
    with pytest.raises(reverted):
        ask("facets")
    assert len(ask("facetAddresses")) == 33


def test_a_facet_of_more_than_128_functions_is_not_shown_in_part(market: Any, reverted: Any) -> None:
    target = market.manifest.contracts["OwnershipFacet"].address
    market.send("diamondCut", [(target, ADD, new_selectors(126))], NULL_ADDRESS, b"", sender=market.admin)
    shown = {entry[0]: entry[1] for entry in market.view("facets")}
    assert len(shown[target]) == 128
    market.send("diamondCut", [(target, ADD, new_selectors(1, 500))], NULL_ADDRESS, b"", sender=market.admin)
    with pytest.raises(reverted):
        market.view("facets")
    assert len(market.view("facetFunctionSelectors", target)) == 129


@pytest.mark.parametrize("boost", [False, True])
def test_a_registry_cannot_give_a_scheduler_more_than_everything(
    market: Any, mock: Any, reverted: Any, boost: bool
) -> None:
    """Ours never says more than 100 %; another that the owner names might."""
    current = market.manifest.registries
    for ratio, fits in ((100, True), (101, False)):
        registry = mock("HostileRegistry", int(market.scheduler, 16) | ratio << 192)
        market.send("changeRegistries", current.app, current.dataset, registry, sender=market.admin)
        if fits:
            market.match(boost=boost)
        else:
            with pytest.raises(reverted) as caught:
                market.match(boost=boost)
            assert caught.value.reason in ("scheduler ratio too high", "")
