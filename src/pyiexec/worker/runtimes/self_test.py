"""A program whose result is known: a machine that computes it otherwise would lose its stake."""

from __future__ import annotations

from wasmtime import wat2wasm

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.base import Runtime
from pyiexec.worker.runtimes.check import AppCheck, run_app_twice

#: What every sound machine gets: 8 bytes of a generator of pseudo-random integers, 8 of a sum of quotients and roots.
EXPECTED = bytes.fromhex("036fb8b0846a743e4335a8bb9b852242")

#: Descriptor 5 is the output folder. `result` is 16 bytes at 0, `computed.json` the text at 1056.
_PROGRAM = r"""
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "computed.json")
  (data (i32.const 1040) "result")
  (data (i32.const 1056) "{\"deterministic-output-path\":\"/iexec_out/result\"}")
  (func $put (param $name i32) (param $length i32) (param $text i32) (param $size i32)
    (if (call $open (i32.const 5) (i32.const 0) (local.get $name) (local.get $length) (i32.const 1)
          (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 512))
      (then (call $exit (i32.const 70))))
    (i32.store (i32.const 516) (local.get $text))
    (i32.store (i32.const 520) (local.get $size))
    (if (call $write (i32.load (i32.const 512)) (i32.const 516) (i32.const 1) (i32.const 524))
      (then (call $exit (i32.const 71)))))
  (func (export "_start") (local $round i32) (local $state i64) (local $sum f64)
    (local.set $state (i64.const 0x9e3779b97f4a7c15))
    (loop $again
      (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 13))))
      (local.set $state (i64.xor (local.get $state) (i64.shr_u (local.get $state) (i64.const 7))))
      (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 17))))
      (local.set $sum (f64.add (local.get $sum)
        (f64.div (f64.sqrt (f64.convert_i64_u (local.get $state)))
                 (f64.add (f64.convert_i32_u (local.get $round)) (f64.const 1.5)))))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $round) (i32.const 1000000))))
    (i64.store (i32.const 0) (local.get $state))
    (f64.store (i32.const 8) (local.get $sum))
    (call $put (i32.const 1040) (i32.const 6) (i32.const 0) (i32.const 16))
    (call $put (i32.const 1024) (i32.const 13) (i32.const 1056) (i32.const 49))))
"""


async def run_self_test(runtime: Runtime) -> AppCheck:
    """Run the program twice in a runtime for WebAssembly.

    Raises:
        IexecError: ``APP_NOT_DETERMINISTIC`` when its result is not the known one, and those of `run_app_twice`.
    """
    check = await run_app_twice(bytes(wat2wasm(_PROGRAM)), "", {}, seconds=10, runtimes=[runtime])
    if check.files["result"] != EXPECTED:
        raise IexecError(
            "APP_NOT_DETERMINISTIC",
            f"this machine computes {check.files['result'].hex()} where others compute {EXPECTED.hex()}",
            remedy="Do not stake with this machine: its processor, memory or software is at fault.",
        )
    return check
