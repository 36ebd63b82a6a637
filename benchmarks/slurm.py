"""Slurm on this machine alone: its daemons, with settings of their own in a folder, and job arrays of `/bin/true`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pyiexec.chain.anvil import free_port
from pyiexec.foundation.lifetime import tie_to_parent

PEER = Path(__file__).with_name("slurm_peer")
#: Settings besides those of a file in `PEER`: where things are, and no plugin that would slow a job down.
CONFIGURATION = """
ClusterName=benchmark
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={controller}
SlurmdPort={node}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
#: Each task says that it is done, which is the moment that counts.
JOB = "#!/bin/sh\n/bin/true\necho > {done}\n"
#: Seconds that starting and ending may take.
PATIENCE = 60


def install() -> None:
    """Install Debian's packages when they are missing."""
    if shutil.which("slurmctld") is None or shutil.which("slurmd") is None or shutil.which("munged") is None:
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "slurm-wlm", "munge"]
        # The packages' own services have no settings, and are not wanted.
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | quiet)


@contextmanager
def _daemon(*command: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    tied = tie_to_parent(signal.SIGTERM)
    with subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL, preexec_fn=tied) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def slurm(settings: str, cpus: int) -> Iterator[dict[str, str]]:
    """A cluster of this machine alone, with the settings of a file in `PEER`; the environment of its commands."""
    with tempfile.TemporaryDirectory(prefix="pyiexec-slurm-") as name, ExitStack() as stack:
        folder, host = Path(name), socket.gethostname().split(".")[0]
        folder.chmod(0o755)
        for part in ("munge", "state", "spool"):
            (folder / part).mkdir(mode=0o755)
        key = folder / "munge" / "key"
        key.touch(mode=0o400)
        key.write_bytes(os.urandom(128))
        files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed", "key-file": "key"}
        options = [f"--{option}={folder / 'munge' / file}" for option, file in files.items()]
        stack.enter_context(_daemon("munged", "--foreground", "--force", *options, environment={}))
        _until((folder / "munge" / "socket").exists)
        text = CONFIGURATION.format(folder=folder, host=host, cpus=cpus, controller=free_port(), node=free_port())
        (folder / "slurm.conf").write_text(text + (PEER / f"{settings}.conf").read_text())
        environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        stack.enter_context(_daemon("slurmctld", "-D", "-c", environment=environment))
        stack.enter_context(_daemon("slurmd", "-D", "-N", host, environment=environment))

        _until(lambda: _asked("sinfo", "-h", "-o", "%T", environment=environment) == "idle")
        yield environment


def _asked(*command: str, environment: dict[str, str]) -> str:
    """What a command of Slurm answers."""
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True).stdout.strip()


def _until(condition: Callable[[], bool]) -> None:
    """Wait for daemons, which do not tell how far they are."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("Slurm does not start, or does not end what it started")
        time.sleep(0.1)


def array_seconds(environment: dict[str, str], tasks: int) -> float:
    """From the submission of an array until its last task is done."""
    with tempfile.TemporaryDirectory(prefix="pyiexec-slurm-") as name:
        done, script = Path(name) / "done", Path(name) / "job"
        os.mkfifo(done)
        script.write_text(JOB.format(done=done))
        # Open for both, so that it never ends while one task has gone and the next has not come.
        pipe = os.open(done, os.O_RDWR)
        try:
            started = time.perf_counter()
            subprocess.run(
                ["sbatch", "--quiet", f"--array=1-{tasks}", "--output=/dev/null", "--chdir=/", str(script)],
                env=os.environ | environment,
                check=True,
            )
            heard = 0
            while heard < tasks:
                heard += len(os.read(pipe, tasks))
            elapsed = time.perf_counter() - started
            # The daemons must not go before what they started has.
            _until(lambda: not _asked("squeue", "-h", environment=environment))
            return elapsed
        finally:
            os.close(pipe)
