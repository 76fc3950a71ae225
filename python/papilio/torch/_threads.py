"""papilio's number of threads follows changes of torch's."""

from __future__ import annotations

import torch

from .. import _core


class _Followed:
    """What torch's number was when papilio last looked, and papilio's then."""

    def __init__(self) -> None:
        self.torch = torch.get_num_threads()
        self.own: int | None = _core.get_num_threads()


_followed = _Followed()


def follow() -> None:
    """Take torch's number of threads, if it has changed and papilio's wasn't set since.

    So `torch.set_num_threads` and the worker processes of a DataLoader, which work with one thread,
    speak for both; but `papilio.set_num_threads` has the last word.
    """
    threads = torch.get_num_threads()
    if threads == _followed.torch:
        return
    if _core.get_num_threads() == _followed.own:
        _core.set_num_threads(threads)
        _followed.own = threads
    else:
        _followed.own = None  # the user's own choice: never again
    _followed.torch = threads
