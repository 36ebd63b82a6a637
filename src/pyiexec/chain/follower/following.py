"""Following the logs of contracts: each exactly once, in order, with those that a reorganisation took back.

New heads are pushed, and their bloom filters tell which blocks to ask about, so that following costs nothing while
nothing happens. Blocks that were missed are caught up with in ranges of adaptive size.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

import anyio
import msgspec

from pyiexec.chain.follower.cursor import WINDOW, Cursor, Log, Mark, trimmed
from pyiexec.chain.follower.logs import LogFilter, Topics
from pyiexec.chain.heads import Head, HeadFeed
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address

log = get_logger(__name__)

#: Blocks asked for at once when catching up: at first, and at most.
SPAN_FIRST, SPAN_MOST = 1_000, 50_000
#: A stretch without any log of so many blocks is reported all the same, so that it is not read again after a restart.
PROGRESS_BLOCKS = 1_000
#: Requests in one batch.
BATCH = 50
#: Seconds before a failed attempt is repeated, if no head comes sooner.
RETRY_SECONDS = 1.0


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """News for the reader. First undo, then apply, then store the cursor, in one database transaction.

    Attributes:
        removed: logs told earlier that a reorganisation took back, newest first.
        rewound_to: with a reorganisation, the last block that still counts: whatever comes from above it is void, also
            where it is older than the logs in `removed` reach. None otherwise.
        logs: new ones in JSON-RPC form, oldest first.
        cursor: to be stored with the effects.
        timestamp: chain time of the last block read, seconds.
    """

    removed: tuple[Log, ...] = ()
    rewound_to: int | None = None
    logs: tuple[Log, ...] = ()
    cursor: Cursor
    timestamp: int


class LogFollower:
    """A reader of logs.

    Args:
        feed: must be running.
        addresses: of the contracts; empty for all.
        topics: by position, as for ``eth_getLogs``.
        cursor: where to go on; None at the first start.
        start_block: where to begin without a cursor; None for the blocks after the present one.
        confirmations: how many blocks must have followed one before its logs are told; 0 tells at once.
        every_block: also yield when there is no log, with each new head.
        also: further logs to be told in the same stream, where one list of addresses and topics cannot say what is
            wanted.
    """

    def __init__(
        self,
        rpc: JsonRpc,
        feed: HeadFeed,
        addresses: Sequence[Address],
        topics: Topics = (),
        *,
        cursor: Cursor | None = None,
        start_block: int | None = 0,
        confirmations: int = 0,
        every_block: bool = False,
        also: Sequence[LogFilter] = (),
    ) -> None:
        self._rpc = rpc
        self._feed = feed
        self._filters = (LogFilter(addresses, topics), *also)
        self._start_block = start_block
        self._confirmations = confirmations
        self._every_block = every_block
        self._marks: list[Mark] = list(cursor.marks) if cursor else []
        self._number = cursor.number if cursor else None
        self._hash = cursor.hash if cursor else ""
        self._unconfirmed: list[Head] = []
        self._span = SPAN_FIRST

    @property
    def cursor(self) -> Cursor:
        """How far it has come by now; blocks that held nothing are counted, though they were not reported."""
        return Cursor(-1 if self._number is None else self._number, self._hash, tuple(self._marks))

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """News, for ever. While the node is away it waits."""
        behind = False
        async with self._feed.subscribe() as heads:
            while True:
                news: list[Head] = []
                with anyio.move_on_after(RETRY_SECONDS if behind else None):
                    news = await heads.take_all()
                if not news and self._feed.newest is not None:
                    news = [self._feed.newest]
                behind = False
                try:
                    async with aclosing(self._advance(news)) as found:
                        async for batch in found:
                            yield batch
                except IexecError as error:
                    log.info("logs could not be read yet", reason=str(error))
                    behind = True
                    self._unconfirmed.clear()

    async def _advance(self, news: Sequence[Head]) -> AsyncGenerator[Batch, None]:
        if not news:
            return
        newest = news[-1]
        if self._number is None:
            self._begin(newest)
        self._unconfirmed.extend(news)
        run = self._contiguous()
        if run is None:
            self._unconfirmed.clear()
            async with aclosing(self._catch_up(newest)) as found:
                async for batch in found:
                    yield batch
        elif run:
            try:
                async with aclosing(self._read(run)) as found:
                    async for batch in found:
                        yield batch
            except RpcError as error:
                # The node does not have the block it announced: another one has taken its place already.
                log.debug("a block is gone", reason=error.message)
                self._unconfirmed.clear()
                async with aclosing(self._catch_up(newest)) as found:
                    async for batch in found:
                        yield batch
            self._marks = trimmed(self._marks, run[-1].number)

    def _begin(self, newest: Head) -> None:
        if self._start_block is not None:
            self._number = self._start_block - 1
        else:
            self._number = newest.number - self._confirmations
            if not self._confirmations:
                self._hash = newest.hash
                self._marks = [Mark(newest.number, newest.hash)]

    def _contiguous(self) -> list[Head] | None:
        """Confirmed heads that continue the chain read so far; None when the heads do not."""
        assert self._number is not None, "begun before"
        number, parent = self._number, self._hash
        kept: list[Head] = []
        for head in self._unconfirmed:
            if head.hash == parent:
                continue
            if head.number != number + 1 or head.parent_hash != parent:
                return None
            kept.append(head)
            number, parent = head.number, head.hash
        confirmed = max(0, len(kept) - self._confirmations)
        self._unconfirmed = kept[confirmed:]
        return kept[:confirmed]

    async def _read(self, run: Sequence[Head]) -> AsyncGenerator[Batch, None]:
        """Read blocks that follow directly; those that cannot hold a wanted log are not asked about."""
        for start in range(0, len(run), BATCH):
            part = run[start : start + BATCH]
            hits = [(head, each) for head in part for each in self._filters if each.may_match(head.logs_bloom)]
            answers = await self._rpc.batch([("eth_getLogs", [each.of_block(head.hash)]) for head, each in hits])
            by_hash: dict[str, list[list[Log]]] = {}
            for (head, _), answer in zip(hits, answers, strict=True):
                by_hash.setdefault(head.hash, []).append(answer)
            found = {head.hash: _merged(by_hash.get(head.hash, [])) for head in part}
            self._marks.extend(Mark(head.number, head.hash, found[head.hash]) for head in part)
            self._number, self._hash = part[-1].number, part[-1].hash
            logs = tuple(entry for head in part for entry in found[head.hash])
            if logs or self._every_block:
                self._marks = trimmed(self._marks, self._number)
                yield Batch(logs=logs, cursor=self.cursor, timestamp=part[-1].timestamp)

    async def _catch_up(self, newest: Head) -> AsyncGenerator[Batch, None]:
        """Read everything up to `newest`, after undoing what is not of its chain."""
        rewound = await self._rewind(newest)
        if rewound is not None:
            yield rewound
        assert self._number is not None, "begun before"
        target = newest.number - self._confirmations
        unreported = 0
        while self._number < target:
            first, last = self._number + 1, min(self._number + self._span, target)
            # The header before the logs: should the chain change in between, the next head will not fit to it.
            block = await self._rpc.call("eth_getBlockByNumber", hex(last), False)
            if block is None:
                raise IexecError("CHAIN_UNREACHABLE", f"block {last} is gone")
            header = Head.from_json(block)
            try:
                answers = await self._rpc.batch(
                    [("eth_getLogs", [each.of_range(first, last)]) for each in self._filters]
                )
            except RpcError as error:
                if first == last:
                    raise
                log.debug("asking for fewer blocks", first=first, last=last, reason=error.message)
                self._span = max(1, (last - first + 1) // 2)
                continue
            self._span = min(self._span * 2, SPAN_MOST)
            logs = _merged(answers)
            self._marks = trimmed([*self._marks, *_marks_of(logs, header, newest.number - WINDOW)], newest.number)
            self._number, self._hash = header.number, header.hash
            unreported += last - first + 1
            if logs or self._every_block or unreported >= PROGRESS_BLOCKS:
                unreported = 0
                yield Batch(logs=logs, cursor=self.cursor, timestamp=header.timestamp)
        if self._confirmations:
            numbers = range(self._number + 1, newest.number + 1)
            blocks = await self._rpc.batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
            self._unconfirmed = [Head.from_json(block) for block in blocks if block]

    async def _rewind(self, newest: Head) -> Batch | None:
        """Go back to the newest block read that is still part of the chain."""
        if not self._marks:
            return None
        last = self._marks[-1]
        if last.number <= newest.number and await self._is_canonical([last]) == [True]:
            return None
        standing = [mark for mark in self._marks if mark.number <= newest.number]
        truths = await self._is_canonical(standing)
        kept = [mark for mark, is_canonical in zip(standing, truths, strict=True) if is_canonical]
        if kept:
            ancestor = kept[-1]
            self._number, self._hash = ancestor.number, ancestor.hash
            lost = [mark for mark in self._marks if mark.number > ancestor.number]
            self._marks = [mark for mark in self._marks if mark.number <= ancestor.number]
        else:
            lost, self._marks = self._marks, []
            self._number, self._hash = (self._start_block or 0) - 1, ""
        removed = tuple(entry for mark in reversed(lost) for entry in reversed(mark.logs))
        log.info("a reorganisation took blocks back", to=self._number, logs=len(removed))
        return Batch(removed=removed, rewound_to=self._number, cursor=self.cursor, timestamp=newest.timestamp)

    async def _is_canonical(self, marks: Sequence[Mark]) -> list[bool]:
        blocks = await self._rpc.batch([("eth_getBlockByNumber", [hex(mark.number), False]) for mark in marks])
        return [block is not None and block["hash"] == mark.hash for mark, block in zip(marks, blocks, strict=True)]


def _merged(answers: Iterable[Iterable[Log]]) -> tuple[Log, ...]:
    """All logs of several answers, each once, oldest first."""
    places = {
        (int(entry["blockNumber"], 16), int(entry["logIndex"], 16)): entry for found in answers for entry in found
    }
    return tuple(places[place] for place in sorted(places))


def _marks_of(logs: Iterable[Log], last: Head, window: int) -> list[Mark]:
    """Marks of a range that was read: the blocks that held logs, and the last one."""
    grouped: dict[tuple[int, str], list[Log]] = {(last.number, last.hash): []}
    for entry in logs:
        number = int(entry["blockNumber"], 16)
        if number > window:
            grouped.setdefault((number, entry["blockHash"]), []).append(entry)
    found = sorted(grouped.items())
    if len({number for (number, _), _ in found}) != len(found):
        raise IexecError("CHAIN_UNREACHABLE", "the chain changed while it was read")
    return [Mark(number, block_hash, tuple(entries)) for (number, block_hash), entries in found]
