# pragma version 0.4.3
"""
@title Results
@license Apache-2.0
@notice What a task leaves on chain: `results`, usually a link, and the payload of its callback. Kept as code (see
        blobs) under the task's id; the task's own word says whether there is any, so forged code is never read.
@dev    Layout after the preamble: length of `results` (2 bytes), `results`, `resultsCallback`.
"""
from hub.modules import blobs
from hub.modules import bounds
from hub.modules import store

uses: store
uses: blobs

LENGTH_SIZE: constant(uint256) = 2


@internal
def _keep(task_id: bytes32, results: Bytes[bounds.RESULTS], results_callback: Bytes[bounds.CALLBACK]) -> bool:
    """@return Whether there was anything to keep."""
    if len(results) == 0 and len(results_callback) == 0:
        return False
    store.blob = concat(blobs.PREAMBLE, convert(convert(len(results), uint16), bytes2), results, results_callback)
    blobs._create(task_id)
    return True


@internal
@view
def _of(task_id: bytes32) -> (Bytes[bounds.RESULTS], Bytes[bounds.CALLBACK]):
    """@return `results` and `resultsCallback` of a task whose word says that it kept them."""
    everything: Bytes[bounds.BLOB] = blobs._read(blobs._location(task_id))
    size: uint256 = convert(convert(slice(everything, 0, LENGTH_SIZE), bytes2), uint256)
    rest: uint256 = LENGTH_SIZE + size
    # within capacity, since _keep wrote them from byte strings of that capacity
    return (
        convert(slice(everything, LENGTH_SIZE, size), Bytes[bounds.RESULTS]),
        convert(slice(everything, rest, len(everything) - rest), Bytes[bounds.CALLBACK]),
    )
