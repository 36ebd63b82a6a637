"""What tasks need, what workers lend, and who meets what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol import limits
from pyiexec.protocol.messages import Capabilities
from pyiexec.protocol.tags import encode_tag
from pyiexec.scheduler.requirements import NOT_SAID, NOTHING_USED, Lent, Needs, Use, describe, lent_by, meets, needs_of
from pyiexec.worker.computation import room_for
from pyiexec.worker.runtimes.base import limits_for

IMAGE, CONTENT = "registry.example/team/app:1", "/ipfs/QmUbFVTm113tJEuJ4hZY2Hush4Urzx7PBVmQGjv1dXdSV9"
PLAIN, IN_CONTAINER, ON_GPU = Needs(), Needs(image=True), Needs(gpu=True)
GIB = 1 << 30


def lends(**said: object) -> Lent:
    return lent_by(Capabilities(**said))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tag", "location", "needs"),
    [
        ("", CONTENT, Needs()),
        ("", IMAGE, Needs(image=True)),
        ("", "", Needs()),
        ("gpu", IMAGE, Needs(image=True, gpu=True)),
        ("tee,tdx", CONTENT, Needs(enclave=0b1001)),
        ("tee,tdx,gpu", CONTENT, Needs(enclave=0b1001, gpu=True)),
        ("tee", CONTENT, Needs(enclave=1)),
        # Without the bit for enclaves, frameworks name what nobody asks for.
        ("tdx", CONTENT, Needs()),
        ("bit77", CONTENT, Needs()),
    ],
)
def test_what_a_task_needs_follows_from_tag_and_address(tag: str, location: str, needs: Needs) -> None:
    assert needs_of(encode_tag(name for name in tag.split(",") if name), location) == needs


@pytest.mark.parametrize(
    ("runtimes", "content", "image"),
    [
        (["wasm"], True, False),
        (["docker"], False, True),
        (["docker", "wasm"], True, True),
        # Nobody here knows what a runtime of somebody else's takes.
        (["firecracker"], True, True),
        (["firecracker", "wasm"], True, True),
        ([], True, True),
    ],
)
def test_runtimes_tell_who_takes_images_and_who_takes_other_content(
    runtimes: list[str], content: bool, image: bool
) -> None:
    lent = lends(runtimes=runtimes)
    assert (meets(lent, PLAIN), meets(lent, IN_CONTAINER)) == (content, image)


def test_a_gpu_is_for_one_task_at_a_time_and_nobody_is_thought_to_have_one() -> None:
    assert not meets(lends(), ON_GPU)
    two = lends(gpus=2)
    once = NOTHING_USED.plus(ON_GPU)
    assert meets(two, ON_GPU, once.plus(PLAIN))
    assert not meets(two, ON_GPU, once.plus(ON_GPU))
    assert meets(two, PLAIN, once.plus(ON_GPU))


@pytest.mark.parametrize(
    ("enclaves", "tag", "met"),
    [
        ([], "tee", False),
        (["tdx"], "tee", True),
        (["tdx"], "tee,tdx", True),
        (["tdx"], "tee,scone", False),
        (["tdx", "scone"], "tee,scone", True),
        (["something else"], "tee", False),
    ],
)
def test_enclaves_are_needed_by_their_framework(enclaves: list[str], tag: str, met: bool) -> None:
    assert meets(lends(enclaves=enclaves), needs_of(encode_tag(tag.split(",")), CONTENT)) == met


def test_memory_and_disk_are_shared_by_all_tasks_of_a_worker() -> None:
    for lent in (lends(memory_bytes=2 * limits.MEMORY_BYTES), lends(disk_bytes=2 * limits.DISK_BYTES)):
        assert meets(lent, PLAIN, NOTHING_USED.plus(PLAIN))
        assert not meets(lent, PLAIN, NOTHING_USED.plus(PLAIN).plus(PLAIN))
    # A container has its output in memory, too.
    assert not meets(lends(memory_bytes=limits.MEMORY_BYTES), IN_CONTAINER)


def test_a_worker_that_does_not_tell_what_it_has_is_taken_for_one_that_has_enough() -> None:
    assert meets(NOT_SAID, IN_CONTAINER, Use(99, 0, 99 * GIB))


def test_what_is_reckoned_with_is_what_runtimes_and_worker_keep_to() -> None:
    found = limits_for(60)
    assert (found.memory_bytes, found.memory_bytes + found.output_bytes) == (
        PLAIN.memory_bytes,
        IN_CONTAINER.memory_bytes,
    )
    assert room_for(60) == limits.DISK_BYTES


def test_needs_are_told_in_words() -> None:
    words = describe(needs_of(encode_tag(["tee", "tdx", "gpu"]), IMAGE))
    assert words == ("a runtime for container images, a GPU, an enclave (tdx), 640 MiB of memory, 260 MiB of disk")


KINDS = st.sampled_from([PLAIN, IN_CONTAINER, ON_GPU, Needs(gpu=True, image=True)])


@given(st.lists(KINDS), st.lists(KINDS, max_size=3))
def test_what_is_given_back_is_free_again(kept: list[Needs], returned: list[Needs]) -> None:
    use = NOTHING_USED
    for needs in [*kept, *returned]:
        use = use.plus(needs)
    for needs in returned:
        use = use.plus(needs, -1)
    alone = NOTHING_USED
    for needs in kept:
        alone = alone.plus(needs)
    assert use == alone


@given(KINDS, st.lists(KINDS, max_size=4), st.integers(0, 4), st.integers(0, 4 * GIB), st.integers(0, 2 * GIB))
def test_more_work_never_makes_room(needs: Needs, work: list[Needs], gpus: int, memory: int, disk: int) -> None:
    lent, use, fitted = lends(gpus=gpus, memory_bytes=memory, disk_bytes=disk), NOTHING_USED, True
    for one in work:
        fits = meets(lent, needs, use)
        assert fitted or not fits
        fitted, use = fits, use.plus(one)
