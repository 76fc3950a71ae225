"""The house: rooms on floors, arrows down only, siblings apart, nothing private across rooms."""

import ast
import pathlib

import pytest

import papilio

ROOT = pathlib.Path(papilio.__file__).parent
# What may import what: a module only from floors below its own, or from its own room.
FLOORS = (
    ("_core",),
    ("_util",),
    ("_chains", "kernels", "config"),
    ("operators",),
    ("factorization", "compression"),
    ("supports", "learning", "transforms", "permutations"),
    ("torch", "sklearn", "fft", "mpi", "_dask"),
    ("_legacy", "_threadpools", "_demo", "cli", "__main__", "__init__"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(ROOT.rglob("*.py"))
# The newest floor may use itself: the package and the command are made of it.
TOP = len(FLOORS) - 1


def room_of(module):
    return module[0] if module else "__init__"


def imports(path):
    """(module as names below papilio, imported names) of every import, local ones too."""
    here = path.relative_to(ROOT).with_suffix("").parts
    package = here[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                inner = (ROOT.joinpath(*target, alias.name)).with_suffix(".py").exists()
                whole = (ROOT.joinpath(*target, alias.name)).is_dir()
                as_module = inner or whole or (not target and alias.name == "_core")
                yield ((*target, alias.name), "") if as_module else (target, alias.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = (
                [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            )
            assert not any(n.split(".")[0] == "papilio" for n in names), f"{path}: relative imports"


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_go_down_and_siblings_stay_apart(path):
    own = room_of(module_name(path))
    for target, name in imports(path):
        room = room_of(target)
        if room == own:
            continue
        assert FLOOR[room] < FLOOR[own] or FLOOR[own] == TOP, f"{own} imports {room}"
        # From a public room only what its __init__ shows; of rooms below the public ones, modules.
        private = [part for part in (*target[1:], name) if part.startswith("_")]
        if own != "_legacy":
            assert not private, f"{path}: {'.'.join(target)} {name}"


def test_no_circle_of_imports():
    graph = {module_name(path): {target for target, _ in imports(path)} for path in MODULES}
    done, doing = set(), []

    def visit(module):
        if module in done or module not in graph:
            return
        assert module not in doing, f"circle: {[*doing[doing.index(module) :], module]}"
        doing.append(module)
        for target in sorted(graph[module]):
            visit(target)
        doing.pop()
        done.add(module)

    for module in sorted(graph):
        visit(module)


def test_few_modules_stand_outside_of_rooms():
    assert len(list(ROOT.glob("*.py"))) <= 10


def test_no_class_is_long():
    longest = max(
        (node.end_lineno - node.lineno + 1, node.name)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert longest[0] < 300, longest
