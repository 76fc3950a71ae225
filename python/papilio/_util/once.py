"""once: an attribute that is computed when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class once(Generic[T]):  # used as a decorator, like property
    """A property that is computed once.

    Several threads may compute it at the same time; the first one's result stays. There is no lock,
    as `functools.cached_property` has before Python 3.12, which a process that is forked meanwhile
    would find taken for ever.

    Examples
    --------
    >>> class Report:
    ...     @once
    ...     def answer(self):
    ...         print("computed")
    ...         return 42
    >>> report = Report()
    >>> report.answer, report.answer
    computed
    (42, 42)
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...
    @overload
    def __get__(self, instance: Any, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> once[T] | T:
        if instance is None:
            return self
        made: T = vars(instance).setdefault(self._name, self._compute(instance))
        return made
