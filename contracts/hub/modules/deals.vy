# pragma version 0.4.3
"""
@title Deals
@license Apache-2.0
@notice A deal is what four orders agreed on. It never changes, so it is kept as code (see blobs) under its id.
@dev    Layout after the preamble, one word per line, low bits first:

            app pointer 160 | app price 96
            app owner 160 | start 40 | category 16 | scheduler reward ratio 8 | flags 5, version 3 | trust 24
            workerpool pointer 160 | workerpool price 96
            scheduler 160 | first task 32 | tasks 32 | reference time 32
            requester 160 | worker stake 96
            request order hash

        then, each only when its flag is set: dataset pointer 160 | price 96 and dataset owner; beneficiary (when not
        the requester); callback; sponsor (when not the requester); tag. Then the params.

        Existence rests on storage, never on the address, which with 160 bits can be collided. The first deal of a
        request order exists when the order's mark says so: the id binds the order, and only the match that made this
        deal sets the mark, neither closing nor Boost. A deal that continues an order (botFirst > 0) has a mark of its
        own, since its id could be prepared before the order is matched with a larger volume.
"""
from hub.modules import blobs
from hub.modules import bounds
from hub.modules import order_marks
from hub.modules import rules
from hub.modules import store

uses: store
uses: blobs

struct Terms:
    app: address
    app_price: uint256
    app_owner: address
    start: uint256
    category: uint256
    scheduler_ratio: uint256
    flags: uint256
    trust: uint256
    workerpool: address
    workerpool_price: uint256
    scheduler: address
    first: uint256
    tasks: uint256
    timeref: uint256
    requester: address
    worker_stake: uint256
    request_hash: bytes32

struct Extras:
    dataset: address
    dataset_price: uint256
    dataset_owner: address
    beneficiary: address
    callback: address
    sponsor: address
    tag: uint256

VERSION: constant(uint256) = 1

# flags
DATASET: constant(uint256) = 1
BENEFICIARY: constant(uint256) = 2
CALLBACK: constant(uint256) = 4
SPONSOR: constant(uint256) = 8
TAG: constant(uint256) = 16

WORD: constant(uint256) = 32
FIXED_WORDS: constant(uint256) = 6
FIXED_SIZE: constant(uint256) = 192

# positions within the words
PRICE_AT: constant(uint256) = 160
START_AT: constant(uint256) = 160
CATEGORY_AT: constant(uint256) = 200
RATIO_AT: constant(uint256) = 216
FLAGS_AT: constant(uint256) = 224
VERSION_AT: constant(uint256) = 229
TRUST_AT: constant(uint256) = 232
FIRST_AT: constant(uint256) = 160
TASKS_AT: constant(uint256) = 192
TIMEREF_AT: constant(uint256) = 224

START_MASK: constant(uint256) = 2**40 - 1
CATEGORY_MASK: constant(uint256) = 2**16 - 1
RATIO_MASK: constant(uint256) = 2**8 - 1
FLAGS_MASK: constant(uint256) = 2**5 - 1
VERSION_MASK: constant(uint256) = 2**3 - 1
INDEX_MASK: constant(uint256) = 2**32 - 1


@internal
@pure
def _address(word: uint256) -> address:
    return convert(word & rules.ADDRESS_MASK, address)


@internal
@pure
def _id(request_hash: bytes32, first: uint256) -> bytes32:
    """@return The id of the deal that serves a request order from its task `first` on."""
    return keccak256(concat(request_hash, convert(first, bytes32)))


@internal
def _record(id: bytes32, terms: Terms, extras: Extras, params: String[bounds.PARAMS]):
    """
    @notice Write the deal `id`; `terms.flags` is worked out here.
    @dev The caller has checked every field against its width, and marks the request order as matched.
    """
    flags: uint256 = VERSION << (VERSION_AT - FLAGS_AT)
    dataset: Bytes[64] = b""
    beneficiary: Bytes[32] = b""
    callback: Bytes[32] = b""
    sponsor: Bytes[32] = b""
    tag: Bytes[32] = b""
    if extras.dataset != empty(address):
        flags |= DATASET
        dataset = abi_encode(convert(extras.dataset, uint256) | extras.dataset_price << PRICE_AT, extras.dataset_owner)
    if extras.beneficiary != terms.requester:
        flags |= BENEFICIARY
        beneficiary = abi_encode(extras.beneficiary)
    if extras.callback != empty(address):
        flags |= CALLBACK
        callback = abi_encode(extras.callback)
    if extras.sponsor != terms.requester:
        flags |= SPONSOR
        sponsor = abi_encode(extras.sponsor)
    if extras.tag != 0:
        flags |= TAG
        tag = abi_encode(extras.tag)
    if terms.first != 0:
        store.continuations[id] = True
    store.blob = concat(
        blobs.PREAMBLE,
        convert(convert(terms.app, uint256) | terms.app_price << PRICE_AT, bytes32),
        convert(
            convert(terms.app_owner, uint256)
            | terms.start << START_AT
            | terms.category << CATEGORY_AT
            | terms.scheduler_ratio << RATIO_AT
            | flags << FLAGS_AT
            | terms.trust << TRUST_AT,
            bytes32,
        ),
        convert(convert(terms.workerpool, uint256) | terms.workerpool_price << PRICE_AT, bytes32),
        convert(
            convert(terms.scheduler, uint256)
            | terms.first << FIRST_AT
            | terms.tasks << TASKS_AT
            | terms.timeref << TIMEREF_AT,
            bytes32,
        ),
        convert(convert(terms.requester, uint256) | terms.worker_stake << PRICE_AT, bytes32),
        terms.request_hash,
        dataset,
        beneficiary,
        callback,
        sponsor,
        tag,
        convert(params, Bytes[bounds.PARAMS]),
    )
    blobs._create(id)


@internal
@view
def _terms(location: address) -> Terms:
    """@return The fixed words at `location`; reverts when there are none."""
    fixed: Bytes[FIXED_SIZE] = slice(location.code, blobs.PREAMBLE_SIZE, FIXED_SIZE)
    words: uint256[FIXED_WORDS] = abi_decode(fixed, uint256[FIXED_WORDS])
    return Terms(
        app=self._address(words[0]),
        app_price=words[0] >> PRICE_AT,
        app_owner=self._address(words[1]),
        start=words[1] >> START_AT & START_MASK,
        category=words[1] >> CATEGORY_AT & CATEGORY_MASK,
        scheduler_ratio=words[1] >> RATIO_AT & RATIO_MASK,
        flags=words[1] >> FLAGS_AT & FLAGS_MASK,
        trust=words[1] >> TRUST_AT,
        workerpool=self._address(words[2]),
        workerpool_price=words[2] >> PRICE_AT,
        scheduler=self._address(words[3]),
        first=words[3] >> FIRST_AT & INDEX_MASK,
        tasks=words[3] >> TASKS_AT & INDEX_MASK,
        timeref=words[3] >> TIMEREF_AT,
        requester=self._address(words[4]),
        worker_stake=words[4] >> PRICE_AT,
        request_hash=convert(words[5], bytes32),
    )


@internal
@view
def _extras(location: address, terms: Terms) -> Extras:
    """@return The optional words, with what their absence means."""
    extras: Extras = empty(Extras)
    extras.beneficiary = terms.requester
    extras.sponsor = terms.requester
    offset: uint256 = FIXED_SIZE
    if terms.flags & DATASET != 0:
        word: uint256 = blobs._word(location, offset)
        extras.dataset = self._address(word)
        extras.dataset_price = word >> PRICE_AT
        extras.dataset_owner = self._address(blobs._word(location, offset + WORD))
        offset += 2 * WORD
    if terms.flags & BENEFICIARY != 0:
        extras.beneficiary = self._address(blobs._word(location, offset))
        offset += WORD
    if terms.flags & CALLBACK != 0:
        extras.callback = self._address(blobs._word(location, offset))
        offset += WORD
    if terms.flags & SPONSOR != 0:
        extras.sponsor = self._address(blobs._word(location, offset))
        offset += WORD
    if terms.flags & TAG != 0:
        extras.tag = blobs._word(location, offset)
    return extras


@internal
@view
def _params(location: address, flags: uint256) -> String[bounds.PARAMS]:
    """@return What follows the last optional word."""
    offset: uint256 = FIXED_SIZE
    if flags & DATASET != 0:
        offset += 2 * WORD
    if flags & BENEFICIARY != 0:
        offset += WORD
    if flags & CALLBACK != 0:
        offset += WORD
    if flags & SPONSOR != 0:
        offset += WORD
    if flags & TAG != 0:
        offset += WORD
    everything: Bytes[bounds.BLOB] = blobs._read(location)
    # within capacity, since _record wrote it from a String of that capacity
    return convert(slice(everything, offset, len(everything) - offset), String[bounds.PARAMS])


@internal
@view
def _exists(id: bytes32) -> bool:
    """@return Whether the hub itself matched the deal `id`."""
    location: address = blobs._location(id)
    if location.codesize < blobs.PREAMBLE_SIZE + FIXED_SIZE:
        return False
    if blobs._word(location, WORD) >> VERSION_AT & VERSION_MASK != VERSION:
        return False
    request_hash: bytes32 = convert(blobs._word(location, 5 * WORD), bytes32)
    if id == self._id(request_hash, 0):
        return store.order_marks[request_hash] & order_marks.MATCHED != 0
    return store.continuations[id]
