"""threadpoolctl sees and limits papilio's threads, without being imported by papilio."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from . import _core
from ._core import build_info
from .config import get_num_threads, set_num_threads

_NAME = "threadpoolctl"


class _Watch:
    """Finds threadpoolctl when somebody imports it, so that papilio's controller is registered."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name != _NAME:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register(module)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def _register(threadpoolctl: Any) -> None:
    if not hasattr(threadpoolctl, "register"):  # before its version 3.2
        return

    class PapilioController(threadpoolctl.LibController):  # type: ignore[misc]
        user_api = "papilio"
        internal_api = "papilio"
        filename_prefixes = ("_core",)
        # Other packages have libraries of that name; papilio's exports this for the purpose.
        check_symbols = ("papilio_get_num_threads",)

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            set_num_threads(num_threads)

        def get_version(self) -> str:
            return build_info()["version"]

        def set_additional_attributes(self) -> None:
            self.threading_layer = _core.threading_engine()

    threadpoolctl.register(PapilioController)


def join_threadpoolctl() -> None:
    """Register with threadpoolctl: now if it is imported, else as soon as it is."""
    if _NAME in sys.modules:
        _register(sys.modules[_NAME])
    else:
        sys.meta_path.insert(0, _Watch())
