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


# Both are within capacity, since _keep wrote them from byte strings of that capacity. They read for themselves: bytes
# handed from function to function are paid at full capacity.

@internal
@view
def _results(task_id: bytes32) -> Bytes[bounds.RESULTS]:
    """@return `results` of a task whose word says that it kept something."""
    everything: Bytes[bounds.RESULT_BLOB] = raw_call(
        blobs._location(task_id), b"", max_outsize=bounds.RESULT_BLOB, is_static_call=True
    )
    size: uint256 = convert(convert(slice(everything, 0, LENGTH_SIZE), bytes2), uint256)
    return convert(slice(everything, LENGTH_SIZE, size), Bytes[bounds.RESULTS])


@internal
@view
def _payload(task_id: bytes32) -> Bytes[bounds.CALLBACK]:
    """@return `resultsCallback` of a task whose word says that it kept something."""
    everything: Bytes[bounds.RESULT_BLOB] = raw_call(
        blobs._location(task_id), b"", max_outsize=bounds.RESULT_BLOB, is_static_call=True
    )
    start: uint256 = LENGTH_SIZE + convert(convert(slice(everything, 0, LENGTH_SIZE), bytes2), uint256)
    if start == len(everything):
        return b""
    return convert(slice(everything, start, len(everything) - start), Bytes[bounds.CALLBACK])
