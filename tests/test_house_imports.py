"""Who may import whom, and that a client or a server needs no torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("clients", "model", "protocol", "runtime", "scenarios")
MAY_IMPORT = {
    "protocol": ("longtake.protocol",),
    "clients": ("longtake.clients", "longtake.protocol"),
    "scenarios": ("longtake.scenarios", "longtake.protocol", "longtake.clients.session"),
    "model": ("longtake.model",),
    "runtime": ("longtake.runtime", "longtake.protocol", "longtake.model.interface"),
}
COMMAND_LINE = ROOT / "runtime" / "cli"
HEAVY = ("torch", "torchvision", "pygame", "av", "einops", "safetensors", "longtake.model")
CHEAP_OF_MODEL = (
    "longtake.model.command_line",
    "longtake.model.errors",
    "longtake.model.interface",
    "longtake.model.ops.cores",
)
WITHOUT_TORCH = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "einops", "safetensors"):
            raise ImportError(f"{name} is blocked: this side must not need it")

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def files_of(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the full name of everything imported anywhere below a node."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"relative import in line {child.lineno}"
            assert child.module is not None
            yield from ((f"{child.module}.{alias.name}", child.lineno) for alias in child.names)


def imports_on_load(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield what importing the module imports: not what is inside functions, nor under TYPE_CHECKING."""
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            continue
        yield from imports(statement)


def is_of(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_import_only_what_they_may(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files_of(folder)
        if COMMAND_LINE not in path.parents
        for name, line in imports(tree_of(path))
        if name.split(".")[0] == "longtake" and not is_of(name, MAY_IMPORT[folder])
    ]
    assert not wrong, f"{folder} may import {', '.join(MAY_IMPORT[folder])} only"


@pytest.mark.parametrize("folder", ["clients", "protocol", "runtime", "scenarios"])
def test_torch_stays_in_the_model(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files_of(folder)
        if COMMAND_LINE not in path.parents
        for name, line in imports(tree_of(path))
        if is_of(name, ("torch", "torchvision", "einops", "safetensors"))
    ]
    assert not wrong


def test_inference_does_not_import_training() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files_of("model")
        if "training" not in path.relative_to(ROOT).parts
        for name, line in imports(tree_of(path))
        if is_of(name, ("longtake.model.training",))
    ]
    assert not wrong


def test_the_command_line_imports_heavy_things_lazily() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files_of("runtime/cli")
        for name, line in imports_on_load(tree_of(path))
        if is_of(name, HEAVY) and not is_of(name, CHEAP_OF_MODEL)
    ]
    assert not wrong


def test_only_the_command_line_is_imported_by_the_entry_point() -> None:
    names = {name for name, _ in imports(tree_of(ROOT / "__main__.py"))}
    assert {name for name in names if name.startswith("longtake")} == {"longtake.runtime.cli.main.run"}


def module_name(path: Path) -> str:
    return ".".join(("longtake", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def import_graph() -> dict[str, set[str]]:
    """Map each module to the modules of ours that importing it imports."""
    trees = {module_name(path): tree_of(path) for folder in FOLDERS for path in files_of(folder)}
    graph: dict[str, set[str]] = {}
    for module, tree in trees.items():
        # `from package import name` names a module, or something inside of the package
        named = {name for name, _ in imports_on_load(tree)}
        graph[module] = {name if name in trees else name.rpartition(".")[0] for name in named} & trees.keys() - {module}
    return graph


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of a cycle in the order they import each other; none if there is no cycle."""
    done: set[str] = set()

    def follow(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return []
        for other in sorted(graph[module]):
            if found := follow(other, [*trail, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := follow(module, []))), [])


def test_a_cycle_is_found() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert not cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_no_module_imports_itself_in_a_circle() -> None:
    found = cycle_in(import_graph())
    assert not found, f"{' -> '.join(found)}: move what both need into a module of its own"


@pytest.mark.parametrize("folder", ["protocol", "clients", "scenarios", "runtime"])
def test_imports_without_torch(folder: str) -> None:
    modules = [module_name(path) for path in files_of(folder)]
    assert modules
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *modules], capture_output=True, text=True, cwd=ROOT.parent, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_block_works() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "longtake.model.generation.generator"],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
        check=False,
    )
    assert done.returncode != 0
    assert "torch is blocked" in done.stderr


def test_importing_the_model_changes_nothing_of_torch() -> None:
    """No device choice, no thread count, no default type is touched by an import."""
    code = (
        "import torch; before = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled());"
        "import longtake.model.diorama.loading, longtake.model.longlive.loading;"
        "assert before == (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)
