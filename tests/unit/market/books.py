"""Random orders and filters, from few enough values that they often meet."""

from __future__ import annotations

from hypothesis import strategies as st

from pyiexec.market.listing import MAX_SAFE_INTEGER, Listing, Status
from pyiexec.protocol.orders import ORDER_KINDS
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, OrderHash, bytes32, checksum

CHAIN = 65535
PEOPLE = [checksum(f"0x{number:040x}") for number in (1, 2, 3)]
addresses = st.sampled_from([NULL_ADDRESS, *PEOPLE])
tags = st.sampled_from([0, 1, 9, 1 << 8, 1 << 63, 1 << 64, 1 << 127, 1 << 255, (1 << 256) - 1]).map(bytes32)
integers = st.sampled_from([0, 1, 2, 5, MAX_SAFE_INTEGER - 1, MAX_SAFE_INTEGER])
_TYPES = {Address: addresses, "bytes32": tags, int: integers}


def _field(name: str) -> st.SearchStrategy[object]:
    if name == "params":
        return st.text(max_size=20)
    if name == "sign":
        return st.just("0x")
    if name in ("tag", "salt"):
        return tags
    if name == "volume":
        return integers.filter(bool)
    if name in ("category", "trust") or name.endswith("price"):
        return integers
    return addresses


def orders(kind: str) -> st.SearchStrategy[object]:
    struct = ORDER_KINDS[kind]
    return st.fixed_dictionaries({name: _field(name) for name in struct.__struct_fields__}).map(
        lambda fields: struct(**fields)
    )


kinds = st.sampled_from(sorted(ORDER_KINDS))


@st.composite
def books(draw: st.DrawFn) -> list[Listing]:
    size = draw(st.integers(0, 12))
    listings = []
    for number in range(size):
        order = draw(kinds.flatmap(orders))
        listings.append(
            Listing(
                order_hash=OrderHash(bytes32(draw(st.integers(0, 1000)) * 100 + number)),
                chain_id=CHAIN,
                order=order,
                signer=draw(st.sampled_from(PEOPLE)),
                remaining=order.volume,
                fillable=order.volume,
                status=draw(st.sampled_from([Status.OPEN, Status.OPEN, Status.OPEN, Status.SUSPENDED])),
                published_at=draw(st.integers(1_700_000_000_000, 1_700_000_000_003)),
            )
        )
    return listings


def queries_for(kind: str) -> st.SearchStrategy[dict[str, str]]:
    """Query parameters that are well-formed."""
    parties = st.sampled_from(["any", *PEOPLE, *(person.lower() for person in PEOPLE), NULL_ADDRESS])
    flags = st.sampled_from(["true", "false"])
    names = ("app", "dataset", "workerpool", "requester", "beneficiary")
    options: dict[str, st.SearchStrategy[str]] = dict.fromkeys(names, parties)
    options |= {f"is{name.capitalize()}Strict": flags for name in ("app", "dataset", "workerpool", "requester")}
    options |= {f"{name}Owner": st.sampled_from(PEOPLE) for name in ("app", "dataset", "workerpool")}
    options |= {"minTag": tags, "maxTag": tags, "bulkOnly": flags}
    options |= {name: integers.map(str) for name in ("category", "minTrust", "maxTrust")}
    options |= {"minVolume": integers.filter(bool).map(str)}
    required = {"apporder": {"app": parties}, "datasetorder": {"dataset": parties}}.get(kind, {})
    optional = {name: value for name, value in options.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)
