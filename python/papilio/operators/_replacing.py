"""Files that take the place of others only once they are whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from .._util.output_paths import output_file


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a new file beside `path` that takes its place at the end, unless something fails.

    Of a link, what it leads to; what isn't a regular file is refused.
    """
    target = output_file(path)
    aside = f"{target}.{secrets.token_hex(4)}.part"
    try:
        with open(aside, "xb") as file:
            yield file
        os.replace(aside, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise
