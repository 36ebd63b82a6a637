"""Things that run in the background of an ``async with`` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

import anyio
import anyio.abc

Self = TypeVar("Self", bound="Running")


class Running(ABC):
    """Runs from the beginning of an ``async with`` block to its end.

    An error raised in the block leaves it as it is, not wrapped into a group; an error in the background cancels the
    block and comes out of it as an exception group.
    """

    _group: anyio.abc.TaskGroup | None = None

    @abstractmethod
    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Do the work until cancelled."""

    async def __aenter__(self: Self) -> Self:
        group = anyio.create_task_group()
        await group.__aenter__()
        self._group = group
        try:
            await group.start(self.run)
        except BaseException as error:
            group.cancel_scope.cancel()
            await group.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        group, self._group = self._group, None
        assert group is not None, "entered before"
        group.cancel_scope.cancel()
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return await group.__aexit__(kind, error, trace)
        await group.__aexit__(None, None, None)
        return None
