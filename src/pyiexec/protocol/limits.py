"""What a task may use of its worker's machine, the same for every task and every worker of every pool.

Honest workers must come to the same result, so none may give an application more than the others. What a category
buys is time.
"""

from __future__ import annotations

MEBIBYTE = 1 << 20

#: Memory of an application.
MEMORY_BYTES = 512 * MEBIBYTE
#: Files that it writes; in a container these are in memory, too.
OUTPUT_BYTES = 128 * MEBIBYTE
#: Kept of each of its two standard streams.
LOG_BYTES = MEBIBYTE
#: What a task may take of the disk: what its application puts out, and once more as the archive of it.
DISK_BYTES = 2 * (OUTPUT_BYTES + 2 * LOG_BYTES)
#: What a container may take of the memory.
CONTAINER_BYTES = MEMORY_BYTES + OUTPUT_BYTES
