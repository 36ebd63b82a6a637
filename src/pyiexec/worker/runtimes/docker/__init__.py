"""Container images as applications, confined by a Docker engine."""

from pyiexec.worker.runtimes.docker.runtime import DockerRuntime, docker_runtime
from pyiexec.worker.runtimes.docker.settings import DockerSettings

__all__ = ["DockerRuntime", "DockerSettings", "docker_runtime"]
