"""npm `iexec` as its users run it: the command in a project folder, and the library in a Node process."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.javascript import installed, node, node_environment

from pyiexec.chain.npm import cache_directory

#: The releases, by the name of the folder with their lock file.
PROJECTS = {"8.24.0": "iexec-8", "9.0.1": "iexec-9"}
DRIVER = Path(__file__).with_name("library.mjs")
#: The client asks for the newest release of itself unless told to be raw; nothing here may wait for that.
_TIMEOUT = 150

#: Told what was used with success: ``cli`` or ``library``, and the name of a command or method.
Used = Callable[[str, str], None]


class ClientError(Exception):
    """What the client says when it does not do what it was asked to."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error.get('name')}: {error.get('message')}")
        self.name = str(error.get("name"))
        self.message = str(error.get("message"))


class Command:
    """The `iexec` command in a folder of its own, with a wallet in it.

    Args:
        chain: content of `chain.json`.
    """

    def __init__(self, version: str, folder: Path, chain: Mapping[str, Any], used: Used) -> None:
        self.folder = folder
        self._used = used
        self._program = installed(PROJECTS[version]) / "node_modules" / ".bin" / "iexec"
        # Compiled scripts are kept from one run to the next: the command is run hundreds of times.
        compiled = cache_directory(os.environ) / "node-compile-cache"
        self._environment = node_environment(os.environ | {"HOME": str(folder), "NODE_COMPILE_CACHE": str(compiled)})
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "chain.json").exists():
            self.write("chain.json", chain)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it; nobody answers its questions."""
        return subprocess.run(
            [str(self._program), *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )

    def __call__(self, *arguments: str) -> dict[str, Any]:
        """Run it with ``--raw``; what it printed.

        Raises:
            ClientError: it said so.
        """
        done = self.run(*arguments, "--raw")
        # Partial failures go to standard error and leave an exit code of zero.
        said = done.stdout.strip() or done.stderr.strip()
        try:
            answer: dict[str, Any] = json.loads(said.splitlines()[-1])
        except (IndexError, ValueError):
            raise AssertionError(f"iexec {' '.join(arguments)}: {done.stdout}{done.stderr}") from None
        if not answer.get("ok"):
            raise ClientError(answer.get("error", {"name": "fail", "message": said}))
        self._used("cli", command_name(arguments))
        return answer

    def read(self, name: str) -> Any:
        """A JSON file of the project."""
        return json.loads((self.folder / name).read_text())

    def write(self, name: str, content: Any) -> None:
        """Write a JSON file of the project."""
        (self.folder / name).write_text(json.dumps(content, indent=2))

    def change(self, name: str, **parts: Any) -> None:
        """Replace top-level parts of a JSON file of the project."""
        path = self.folder / name
        self.write(name, (self.read(name) if path.exists() else {}) | parts)


def command_name(arguments: tuple[str, ...]) -> str:
    """The command without its arguments: ``app deploy``, ``info``."""
    if arguments[0] in ("init", "info"):
        return arguments[0]
    return " ".join(arguments[:2])


class Library:
    """The library in a Node process, acting for one account.

    Args:
        key: private key of the account; None to read only.
        options: of the client's constructor.
    """

    def __init__(self, version: str, host: str, key: str | None, options: Mapping[str, Any], used: Used) -> None:
        module = installed(PROJECTS[version]) / "node_modules" / "iexec" / "dist" / "esm" / "lib" / "index.js"
        #: Told of every method that did what it was asked to.
        self.used = used
        self._process = subprocess.Popen(
            [str(node()), str(DRIVER), str(module)],
            env=node_environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask({"host": host, "key": key, "options": dict(options)})
        if key is not None:
            used("library", "utils.getSignerFromPrivateKey")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None, "made with a pipe"
        assert self._process.stdout is not None, "made with a pipe"
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Call a method such as ``app.showApp``; bytes go and come as bytes, big numbers as decimal strings.

        Of an observable, the list of all it told. Of a page of an order book, also whether there is ``more``.

        Raises:
            ClientError: the library threw.
        """
        module, _, method = name.partition(".")
        answer = self._ask({"module": module, "method": method, "arguments": [_pack(each) for each in arguments]})
        self.used("library", name)
        return _unpack(answer)

    def inventory(self) -> list[str]:
        """Every method there is, as ``module.method``."""
        found: list[str] = self._ask({"inventory": True})
        return found

    def constant(self, name: str) -> Any:
        """One of the constants of ``utils``."""
        return _unpack(self._ask({"constant": name}))

    def _ask(self, question: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None, "made with a pipe"
        assert self._process.stdout is not None, "made with a pipe"
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver ended"
        answer = json.loads(line)
        if "error" in answer:
            raise ClientError(answer["error"])
        return answer.get("value")


def _pack(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: _pack(inner) for key, inner in value.items()}
    return [_pack(inner) for inner in value] if isinstance(value, list) else value


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        return {key: _unpack(inner) for key, inner in value.items()}
    return [_unpack(inner) for inner in value] if isinstance(value, list) else value
