# pragma version 0.4.3
"""
@title Labels
@license Apache-2.0
@notice A name and what goes with it: the symbol of a token, the description of a category. Written once and never
        changed, so they are kept as code (see blobs).
@dev    Layout after the preamble: length of the name (2 bytes), the name, the rest. No decision rests on what
        a label says, so none rests on who put it there.
"""
from hub.modules import blobs
from hub.modules import bounds
from hub.modules import store

uses: store
uses: blobs

# The label of the staked token; those of categories are their numbers.
TOKEN: constant(bytes32) = keccak256("token")

LENGTH_SIZE: constant(uint256) = 2


@internal
def _record(id: bytes32, name: String[bounds.LABEL_NAME], rest: String[bounds.LABEL_REST]):
    """@notice Write the label `id`, which has none yet."""
    store.blob = concat(
        blobs.PREAMBLE,
        convert(convert(len(name), uint16), bytes2),
        convert(name, Bytes[bounds.LABEL_NAME]),
        convert(rest, Bytes[bounds.LABEL_REST]),
    )
    blobs._create(id)


@internal
@view
def _of(id: bytes32) -> (String[bounds.LABEL_NAME], String[bounds.LABEL_REST]):
    """@return Name and rest; empty when the label was never written."""
    location: address = blobs._location(id)
    if location.codesize == 0:
        return "", ""
    everything: Bytes[bounds.LABEL_BLOB] = raw_call(
        location, b"", max_outsize=bounds.LABEL_BLOB, is_static_call=True
    )
    size: uint256 = convert(convert(slice(everything, 0, LENGTH_SIZE), bytes2), uint256)
    start: uint256 = LENGTH_SIZE + size
    # within capacity, since _record wrote them from texts of that capacity
    return (
        convert(slice(everything, LENGTH_SIZE, size), String[bounds.LABEL_NAME]),
        convert(slice(everything, start, len(everything) - start), String[bounds.LABEL_REST]),
    )
