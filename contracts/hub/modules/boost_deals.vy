# pragma version 0.4.3
"""
@title Boost deals
@license Apache-2.0
@notice A Boost deal is settled by one transaction per task, so it keeps only what that transaction needs.
@dev    What is looked at first is one word of storage under the deal's id, low bits first:

            callback 160 | deadline 40 | tasks 16 | first task 16 | tag 24

        What pays the parties is code (see blobs) under the same id, one word per line:

            app owner 160 | app price 96
            scheduler 160 | workerpool price 96
            requester 160 | worker reward 96
            dataset owner 160 | dataset price 96
            sponsor 160

        The last is there only when it is not the requester, the one before when it has anything to tell or the last
        follows.

        A Boost deal exists when its word of storage does, which only the match that made the deal writes; its code was
        made in the same step. The id is that of a classic deal of the same request order and first task, which no
        match can make as well, since every match moves the order's consumed volume. Its code has no more than five
        words, so that nothing takes it for a classic deal.
"""
from hub.modules import blobs
from hub.modules import rules
from hub.modules import store

uses: store
uses: blobs

struct Scope:
    callback: address
    deadline: uint256
    tasks: uint256
    first: uint256
    tag: uint256

struct Parties:
    app_owner: address
    app_price: uint256
    scheduler: address
    workerpool_price: uint256
    requester: address
    worker_reward: uint256
    dataset_owner: address
    dataset_price: uint256
    sponsor: address

WORD: constant(uint256) = 32
FIXED_WORDS: constant(uint256) = 3
FIXED_SIZE: constant(uint256) = 96

# positions within the words
DEADLINE_AT: constant(uint256) = 160
TASKS_AT: constant(uint256) = 200
FIRST_AT: constant(uint256) = 216
TAG_AT: constant(uint256) = 232
AMOUNT_AT: constant(uint256) = 160

TIME_MASK: constant(uint256) = 2**40 - 1
COUNT_MASK: constant(uint256) = 2**16 - 1
TAG_MASK: constant(uint256) = 2**24 - 1


@internal
@pure
def _address(word: uint256) -> address:
    return convert(word & rules.ADDRESS_MASK, address)


@internal
@pure
def _pair(account: address, amount: uint256) -> bytes32:
    return convert(convert(account, uint256) | amount << AMOUNT_AT, bytes32)


@internal
def _record(id: bytes32, scope: Scope, parties: Parties):
    """
    @notice Write the deal `id`; of the tag its lowest three bytes.
    @dev The caller has checked every other field against its width.
    """
    store.boost_deals[id] = (
        convert(scope.callback, uint256)
        | scope.deadline << DEADLINE_AT
        | scope.tasks << TASKS_AT
        | scope.first << FIRST_AT
        | scope.tag << TAG_AT
    )
    optional: Bytes[64] = b""
    if parties.sponsor != parties.requester:
        optional = concat(
            self._pair(parties.dataset_owner, parties.dataset_price),
            convert(convert(parties.sponsor, uint256), bytes32),
        )
    elif parties.dataset_owner != empty(address):
        optional = concat(self._pair(parties.dataset_owner, parties.dataset_price), b"")
    store.blob = concat(
        blobs.PREAMBLE,
        self._pair(parties.app_owner, parties.app_price),
        self._pair(parties.scheduler, parties.workerpool_price),
        self._pair(parties.requester, parties.worker_reward),
        optional,
    )
    blobs._create(id)


@internal
@view
def _scope(id: bytes32) -> Scope:
    """@return What the deal covers; all zeros when there is none, and at least one task when there is."""
    word: uint256 = store.boost_deals[id]
    return Scope(
        callback=self._address(word),
        deadline=word >> DEADLINE_AT & TIME_MASK,
        tasks=word >> TASKS_AT & COUNT_MASK,
        first=word >> FIRST_AT & COUNT_MASK,
        tag=word >> TAG_AT,
    )


@internal
@view
def _parties(id: bytes32) -> Parties:
    """@return Who deals and for what; the deal has to exist."""
    location: address = blobs._location(id)
    size: uint256 = location.codesize - blobs.PREAMBLE_SIZE
    fixed: Bytes[FIXED_SIZE] = slice(location.code, blobs.PREAMBLE_SIZE, FIXED_SIZE)
    words: uint256[FIXED_WORDS] = abi_decode(fixed, uint256[FIXED_WORDS])
    parties: Parties = empty(Parties)
    parties.app_owner = self._address(words[0])
    parties.app_price = words[0] >> AMOUNT_AT
    parties.scheduler = self._address(words[1])
    parties.workerpool_price = words[1] >> AMOUNT_AT
    parties.requester = self._address(words[2])
    parties.worker_reward = words[2] >> AMOUNT_AT
    parties.sponsor = parties.requester
    if size > FIXED_SIZE:
        dataset: uint256 = blobs._word(location, FIXED_SIZE)
        parties.dataset_owner = self._address(dataset)
        parties.dataset_price = dataset >> AMOUNT_AT
    if size > FIXED_SIZE + WORD:
        parties.sponsor = self._address(blobs._word(location, FIXED_SIZE + WORD))
    return parties
