"""What pyiexec stands on may be used by anyone who may use pyiexec."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement

from tests.docs.pages import REPOSITORY

LIBRARIES = REPOSITORY / "docs" / "decisions" / "0002-libraries.md"
#: Licences that ask of a program that merely imports a library to be under the same.
_STRONG = re.compile(r"\b(A?GPL|GNU (AFFERO )?GENERAL PUBLIC|SSPL|BUSL|EUPL)", re.IGNORECASE)


def required() -> list[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return [Requirement(line).name for line in project["dependencies"]]


def installed_with(names: list[str]) -> dict[str, Distribution]:
    """The packages named and all that they need here."""
    found: dict[str, Distribution] = {}
    ahead = list(names)
    while ahead:
        name = re.sub(r"[-_.]+", "-", ahead.pop()).lower()
        if name in found:
            continue
        found[name] = distribution(name)
        for line in found[name].requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                ahead.append(requirement.name)
    return found


def licence_of(package: Distribution) -> str:
    """What its metadata says, in whichever of the three places."""
    about = package.metadata
    classifiers = [line for line in about.get_all("Classifier", []) if line.startswith("License ::")]
    # Some put the whole text there: its first line names it.
    told = [about[name].strip().partition("\n")[0] for name in ("License-Expression", "License") if name in about]
    return "; ".join(filter(None, [*told, *classifiers]))


def test_every_package_that_is_installed_with_pyiexec_has_a_permissive_or_weak_licence() -> None:
    licences = {name: licence_of(package) for name, package in installed_with(required()).items()}
    assert not [name for name, licence in licences.items() if not licence]
    assert not {name: licence for name, licence in licences.items() if _STRONG.search(licence)}


def test_every_direct_dependency_is_a_decision_with_its_reason_and_its_locked_version() -> None:
    lock = (REPOSITORY / "requirements" / "runtime.lock").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))
    rows = (line.strip("| ").split(" | ") for line in LIBRARIES.read_text().splitlines() if line.startswith("| "))
    told = {cells[0]: cells[2] for cells in rows if cells[0] != "library"}
    assert told == {name: locked[name] for name in required()}
