"""Compile the contracts into the artifacts that the Python package carries.

Every ``.vy`` file directly in one of the `SYSTEMS` folders is a contract, named by its file; deeper folders hold
modules. A contract is compiled again only when a source it is made of, the compiler or the settings changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

CONTRACTS = Path(__file__).resolve().parent
ARTIFACTS = CONTRACTS.parent / "src" / "pyiexec" / "chain" / "artifacts"
SYSTEMS = ("deployment", "hub", "registries", "token")

#: Contracts whose constructor deploys another one: the other's creation code is handed to them as the only argument of
#: their constructor, inside their own creation code, so that whoever deploys them gives no argument at all.
EMBEDDED: Mapping[str, str] = {
    "AppRegistry": "App",
    "DatasetRegistry": "Dataset",
    "WorkerpoolRegistry": "Workerpool",
}


def _deposit_for_array(mutability: str) -> dict[str, Any]:
    inputs = [{"name": "amounts", "type": "uint256[]"}, {"name": "targets", "type": "address[]"}]
    outputs = [{"name": "", "type": "bool"}]
    return {
        "type": "function",
        "name": "depositForArray",
        "inputs": inputs,
        "outputs": outputs,
        "stateMutability": mutability,
    }


#: Functions that the default function of a contract answers, because they read arrays where they are in call data: the
#: compiler does not know of them, so that they are declared here.
ANSWERED_BY_DEFAULT: Mapping[str, dict[str, Any]] = {
    "IexecEscrowTokenFacet": _deposit_for_array("nonpayable"),
    "IexecEscrowNativeFacet": _deposit_for_array("payable"),
}

EVM_VERSION = "cancun"
#: EIP-170.
RUNTIME_LIMIT = 24_576
WORKERS = 2

Artifact = dict[str, Any]


def contracts() -> dict[str, Path]:
    """Every contract by name.

    Raises:
        SystemExit: two files have the same name.
    """
    found: dict[str, Path] = {}
    for system in SYSTEMS:
        for path in sorted((CONTRACTS / system).glob("*.vy")):
            if path.stem in found:
                raise SystemExit(f"{path} and {found[path.stem]} are both named {path.stem}")
            found[path.stem] = path
    return found


def compiler() -> str:
    """What the bytecode depends on besides the sources."""
    return f"vyper {version('vyper')} -O gas --evm-version {EVM_VERSION} --no-bytecode-metadata"


def compile_source(path: Path, search: Iterable[Path] | None = None) -> Artifact:
    """Compile one contract; imports are looked up in `search` (default: `contracts/`), the first folder first.

    Raises:
        vyper.exceptions.VyperException: the source is wrong.
    """
    from vyper.compiler import output
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.compiler.phases import CompilerData
    from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings

    # The bundle looks into the last folder first.
    bundle = FilesystemInputBundle(list(reversed(list(search or (CONTRACTS,)))))
    settings = Settings(optimize=OptimizationLevel.GAS, evm_version=EVM_VERSION)
    data = CompilerData(bundle.load_file(path), bundle, settings=settings, no_bytecode_metadata=True)
    with anchor_settings(data.settings):
        abi = output.build_abi_output(data)
        bytecode, runtime = data.bytecode, data.bytecode_runtime
    if path.stem in ANSWERED_BY_DEFAULT:
        abi = [*abi, ANSWERED_BY_DEFAULT[path.stem]]
    inputs = {Path(found.resolved_path).resolve() for found in data.resolved_imports.compiler_inputs}
    return {
        "contractName": path.stem,
        "abi": abi,
        "bytecode": "0x" + bytecode.hex(),
        "deployedBytecode": "0x" + runtime.hex(),
        "compiler": compiler(),
        "sources": digests({path.resolve(), *inputs}),
    }


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each source by its path below `contracts/`; files elsewhere belong to the compiler itself."""
    inside = sorted(path for path in paths if path.is_relative_to(CONTRACTS))
    return {str(path.relative_to(CONTRACTS)): hashlib.sha256(path.read_bytes()).hexdigest() for path in inside}


def embed(factory: Artifact, product: Artifact) -> Artifact:
    """Append the creation code of `product` as the constructor argument of `factory`, and declare no argument."""
    code = bytes.fromhex(product["bytecode"][2:])
    padding = -len(code) % 32
    argument = (32).to_bytes(32, "big") + len(code).to_bytes(32, "big") + code + bytes(padding)
    abi = [{**entry, "inputs": []} if entry["type"] == "constructor" else entry for entry in factory["abi"]]
    return {
        **factory,
        "abi": abi,
        "bytecode": factory["bytecode"] + argument.hex(),
        "sources": factory["sources"] | product["sources"],
    }


def is_current(name: str, path: Path) -> bool:
    """Whether the artifact on disk was made of the sources on disk."""
    try:
        artifact = json.loads((ARTIFACTS / f"{name}.json").read_bytes())
        sources: dict[str, str] = artifact["sources"]
        return (
            artifact["compiler"] == compiler()
            and str(path.relative_to(CONTRACTS)) in sources
            and digests(CONTRACTS / source for source in sources) == sources
        )
    except (OSError, ValueError, KeyError):
        return False


def write(artifact: Artifact) -> None:
    """Put the artifact in place whole: a reader sees the former one or this one."""
    target = ARTIFACTS / f"{artifact['contractName']}.json"
    scratch = target.with_suffix(f".{os.getpid()}.part")
    scratch.write_text(json.dumps(artifact, separators=(",", ":")))
    scratch.replace(target)


def size(artifact: Artifact) -> int:
    """Bytes of runtime code."""
    return len(artifact["deployedBytecode"]) // 2 - 1


def _try_compile(path: Path) -> Artifact | str:
    """The artifact, or the compiler's complaint: its exceptions do not survive the way between processes."""
    from vyper.exceptions import VyperException

    try:
        return compile_source(path)
    except VyperException as error:
        return f"{path.relative_to(CONTRACTS)}: {error}"


def differs(artifact: Artifact) -> bool:
    """Whether the artifact on disk is another than this one, or none."""
    try:
        on_disk = json.loads((ARTIFACTS / f"{artifact['contractName']}.json").read_bytes())
    except (OSError, ValueError):
        return True
    return bool(on_disk != artifact)


def _report_check(fresh: Mapping[str, Artifact], failures: list[str]) -> int:
    """Say which artifacts are not what was compiled just now; the result is the exit status."""
    failures = [
        *failures,
        *(f"{name}: the artifact is not what the sources compile to" for name in fresh if differs(fresh[name])),
    ]
    for failure in failures:
        print(failure, file=sys.stderr)
    if not failures:
        print(f"{len(fresh)} contracts are what their sources compile to")
    return 1 if failures else 0


def main(arguments: list[str] | None = None) -> int:
    """Compile what changed and print the sizes; the result is the exit status."""
    parser = argparse.ArgumentParser(description="Compile the contracts.")
    parser.add_argument("--force", action="store_true", help="compile even what did not change")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if an artifact is not what is compiled"
    )
    parser.add_argument("names", nargs="*", help="only these contracts (default: all)")
    options = parser.parse_args(arguments)

    known = contracts()
    if unknown := set(options.names) - set(known):
        raise SystemExit(f"no such contract: {', '.join(sorted(unknown))}")
    wanted = set(options.names) or set(known)
    stale = {name for name in wanted if options.force or options.check or not is_current(name, known[name])}
    # A factory is made of its product, which must be at hand when the factory is put together.
    stale |= {EMBEDDED[name] for name in stale if name in EMBEDDED}
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    if not options.names and not options.check:
        for path in ARTIFACTS.glob("*.json"):
            if path.stem not in known:
                path.unlink()
    if not stale:
        print(f"{len(wanted)} contracts are up to date")
        return 0

    fresh: dict[str, Artifact] = {}
    failures: list[str] = []
    order = sorted(stale, key=lambda name: -known[name].stat().st_size)
    with ProcessPoolExecutor(min(WORKERS, len(order))) as pool:
        for name, result in zip(order, pool.map(_try_compile, (known[name] for name in order)), strict=True):
            if isinstance(result, str):
                failures.append(result)
            else:
                fresh[name] = result
    for factory, product in EMBEDDED.items():
        if factory in fresh and product in fresh:
            fresh[factory] = embed(fresh[factory], fresh[product])
        elif factory in fresh:
            del fresh[factory]
    if options.check:
        return _report_check({name: fresh[name] for name in fresh if name in wanted}, failures)
    for name in sorted(fresh):
        if size(fresh[name]) > RUNTIME_LIMIT:
            failures.append(f"{name}: {size(fresh[name])} bytes of runtime code, the limit is {RUNTIME_LIMIT}")
        else:
            write(fresh[name])
        print(f"{size(fresh[name]):>6} B  {name}")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
