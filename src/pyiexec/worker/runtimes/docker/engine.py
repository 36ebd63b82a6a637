"""The few calls of the Docker Engine API that running applications takes.

Source: Docker Engine API 1.41, which is spoken by every engine since 20.10, and by Podman.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.images import ImageName
from pyiexec.protocol.primitives import Bytes32

#: Versions of the API that are understood: every call here is the same in them. An engine must have one of these.
_OLDEST, _NEWEST = (1, 41), (1, 51)
#: Seconds for calls that are not expected to take long, under load.
_PROMPT = 60.0
_PIECE = 256 * 1024
#: Longest line of the report of a pull.
_LINE = 1 << 20

Found = Mapping[str, Any]


class Engine:
    """A connection to an engine over its socket. It raises ``ENGINE_UNAVAILABLE`` and ``ENGINE_FAILED`` everywhere.

    Args:
        socket: of the API.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None
        self._version = ""

    async def open(self) -> None:
        """Connect, and agree on a version of the API.

        Raises:
            IexecError: ``ENGINE_UNSAFE`` when it is too old to be asked for what is needed.
        """
        self._session = aiohttp.ClientSession(
            "http://engine",
            connector=aiohttp.UnixConnector(str(self._socket), limit=0),
            # Each of the long calls has a limit where it is made.
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=_LINE,
        )
        offered = await self._call("GET", "/version")
        newest, oldest = _version(offered["ApiVersion"]), _version(offered.get("MinAPIVersion", "1.0"))
        agreed = min(newest, _NEWEST)
        if agreed < max(oldest, _OLDEST):
            raise IexecError("ENGINE_UNSAFE", f"the engine speaks API {offered['ApiVersion']}; 1.41 to 1.51 will do")
        self._version = f"/v{agreed[0]}.{agreed[1]}"

    async def close(self) -> None:
        """Disconnect."""
        if self._session is not None:
            await self._session.close()

    async def info(self) -> Found:
        """What the engine and its machine can do."""
        found: Found = await self._call("GET", "/info")
        return found

    # --- images -----------------------------------------------------------------------------------------------------

    async def image(self, name: str) -> Found | None:
        """An image it has, None if it has not."""
        found: Found | None = await self._call("GET", f"/images/{quote(name)}/json", missing=True)
        return found

    async def pull(self, image: ImageName, checksum: Bytes32) -> AsyncGenerator[Found, None]:
        """Fetch an image by its digest; gives the engine's reports of progress. To stop listening stops it.

        Raises:
            IexecError: ``APP_IMAGE_UNAVAILABLE`` when the engine or the registry cannot.
        """
        digest = f"sha256:{checksum.removeprefix('0x')}"
        query = {"fromImage": image.repository, "tag": digest}
        async with self._request("POST", "/images/create", query=query) as response:
            if response.status >= 400:
                raise IexecError("APP_IMAGE_UNAVAILABLE", f"{image.repository}: {await _complaint(response)}")
            async for line in _lines(response):
                if "error" in line:
                    raise IexecError("APP_IMAGE_UNAVAILABLE", f"{image.repository}: {_one_line(line['error'])}")
                yield line

    async def remove_image(self, identity: str) -> None:
        """Forget an image under all its names, unless a container has it."""
        await self._call("DELETE", f"/images/{quote(identity)}", query={"force": "true"}, missing=True, conflict=True)

    # --- volumes ----------------------------------------------------------------------------------------------------

    async def create_volume(self, body: Found) -> None:
        """Define a volume."""
        await self._call("POST", "/volumes/create", body=body)

    async def volumes(self, label: str) -> list[str]:
        """Names of the volumes with a label."""
        found = await self._call("GET", "/volumes", query={"filters": json.dumps({"label": [label]})})
        return [volume["Name"] for volume in found["Volumes"] or ()]

    async def remove_volume(self, name: str) -> None:
        """Delete a volume, if there is one of this name."""
        await self._call("DELETE", f"/volumes/{quote(name)}", missing=True)

    # --- containers -------------------------------------------------------------------------------------------------

    async def create(self, name: str, body: Found) -> None:
        """Make a container that does not run yet."""
        await self._call("POST", "/containers/create", query={"name": name}, body=body)

    async def containers(self, label: str) -> list[str]:
        """Identities of the containers with a label, running or not."""
        query = {"all": "true", "filters": json.dumps({"label": [label]})}
        return [container["Id"] for container in await self._call("GET", "/containers/json", query=query)]

    async def start(self, name: str) -> None:
        """Start a container; a refusal has its `status` among its details."""
        await self._call("POST", f"/containers/{name}/start")

    @asynccontextmanager
    async def attached(self, name: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """What a container prints from now on, as `frames` takes it; ends with the container."""
        query = {"stream": "true", "stdout": "true", "stderr": "true"}
        async with self._request("POST", f"/containers/{name}/attach", query=query) as response:
            await _raise_for(response)
            yield response.content.iter_chunked(_PIECE)

    @asynccontextmanager
    async def exit_of(self, name: str) -> AsyncIterator[asyncio.Future[Found]]:
        """The end of a container's next run, listened for from before it is started."""
        query = {"condition": "next-exit"}
        async with self._request("POST", f"/containers/{name}/wait", query=query) as response:
            await _raise_for(response)
            ended: asyncio.Future[Found] = asyncio.ensure_future(_body(response))
            try:
                yield ended
            finally:
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)

    async def inspect(self, name: str) -> Found:
        """All that is known of a container."""
        found: Found = await self._call("GET", f"/containers/{name}/json")
        return found

    async def processes(self, name: str) -> int:
        """Processes and threads in a container now; 0 once it has ended."""
        return int(((await self._figures(name)).get("pids_stats") or {}).get("current", 0))

    async def processor_seconds(self, name: str) -> float:
        """Processor time that a container has used; 0 once it has ended."""
        usage = ((await self._figures(name)).get("cpu_stats") or {}).get("cpu_usage") or {}
        return int(usage.get("total_usage", 0)) / 1e9

    async def _figures(self, name: str) -> Found:
        query = {"stream": "false", "one-shot": "true"}
        return await self._call("GET", f"/containers/{name}/stats", query=query, missing=True) or {}

    async def kill(self, name: str) -> None:
        """End a container's processes, if there are any."""
        await self._call("POST", f"/containers/{name}/kill", missing=True, conflict=True)

    async def pause(self, name: str) -> None:
        """Freeze a container's processes; nothing is done to one that has ended."""
        await self._call("POST", f"/containers/{name}/pause", missing=True, conflict=True)

    async def unpause(self, name: str) -> None:
        """Let them go on."""
        await self._call("POST", f"/containers/{name}/unpause", missing=True, conflict=True)

    async def read(self, name: str, path: str, limit: int) -> bytes | None:
        """A tar archive of a folder in a container; None when it would exceed `limit` bytes."""
        archive = bytearray()
        query = {"path": path}
        async with self._request("GET", f"/containers/{name}/archive", query=query, seconds=_PROMPT) as response:
            await _raise_for(response)
            async for piece in response.content.iter_chunked(_PIECE):
                archive += piece
                if len(archive) > limit:
                    return None
        return bytes(archive)

    async def remove(self, name: str) -> None:
        """End and delete a container, if there is one of this name."""
        await self._call("DELETE", f"/containers/{name}", query={"force": "true", "v": "true"}, missing=True)

    # --- HTTP -------------------------------------------------------------------------------------------------------

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Found | None = None,
        missing: bool = False,
        conflict: bool = False,
    ) -> Any:
        """The answer; None where it is that something is `missing`, or in another state, and that is fine."""
        async with self._request(method, path, query=query, body=body, seconds=_PROMPT) as response:
            if (missing and response.status == 404) or (conflict and response.status == 409):
                return None
            await _raise_for(response)
            return await _body(response)

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Found | None = None,
        seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "it has been opened"
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.request(method, self._version + path, params=query, json=body) as response,
            ):
                yield response
        except TimeoutError:
            raise IexecError("ENGINE_UNAVAILABLE", f"the engine did not answer for {seconds or 0:g} seconds") from None
        except (aiohttp.ClientError, OSError) as error:
            what = f"the engine at {self._socket} does not answer: {error or type(error).__name__}"
            raise IexecError("ENGINE_UNAVAILABLE", what) from None


async def _raise_for(response: aiohttp.ClientResponse) -> None:
    if response.status >= 400:
        raise IexecError("ENGINE_FAILED", f"the engine refused: {await _complaint(response)}", status=response.status)


async def _complaint(response: aiohttp.ClientResponse) -> str:
    body = await response.read()
    try:
        return _one_line(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {response.status}"


async def _body(response: aiohttp.ClientResponse) -> Any:
    body = await response.read()
    return json.loads(body) if body else None


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[Found]:
    while line := await response.content.readline():
        yield json.loads(line)


def _one_line(text: str) -> str:
    return " ".join(str(text).split())[:300]


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)
