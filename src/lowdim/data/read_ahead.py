"""All rows of a source, block by block, the next one read while the last one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lowdim.data.sources import RowSource

if TYPE_CHECKING:
    from lowdim._typing import Rows


def row_blocks(source: RowSource, step: int) -> Iterator[tuple[int, Rows]]:
    """Yield (first row, rows) over all rows of a source, `step` rows at a time.

    Of a source that is not in memory, a thread reads one block ahead: compiled loops leave the
    interpreter to it. Two blocks are then in memory at a time.
    """
    starts = range(0, source.n_rows, step)

    def read(start: int) -> Rows:
        return source.rows(start, min(start + step, source.n_rows))

    if source.in_memory or len(starts) == 1:
        for start in starts:
            yield start, read(start)
        return
    with ThreadPoolExecutor(1, "lowdim-read") as reader:
        ahead = reader.submit(read, 0)
        for start in starts:
            rows = ahead.result()
            if start + step < source.n_rows:
                ahead = reader.submit(read, start + step)
            yield start, rows
            del rows  # lest three blocks are held at a time
