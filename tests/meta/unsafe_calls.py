"""What no source file may do: run code that came as data, or read a format that can carry code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

MODULES = frozenset(
    {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
)
BUILTINS = frozenset({"eval", "exec", "__import__"})
CALLS = frozenset({"os.system", "os.popen", "tempfile.mktemp", "pd.read_pickle", "pandas.read_pickle"})
METHODS = frozenset({"to_pickle", "read_pickle"})


def unsafe(source: str) -> Iterator[tuple[int, str]]:
    """(line, what) of everything in a module that is forbidden."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (
                    (node.lineno, f"import {n.name}") for n in names if n.name.split(".")[0] in MODULES
                )
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                yield node.lineno, f"from {module} import …"
            case ast.Call(func=function):
                yield from ((node.lineno, what) for what in _call(ast.unparse(function), node))


def _call(name: str, call: ast.Call) -> Iterator[str]:
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    last = name.rsplit(".", 1)[-1]
    if name in BUILTINS or name in CALLS or last in METHODS:
        yield f"{name}(…)"
    if name == "torch.load" and not _is(options.get("weights_only"), True):
        yield "torch.load without weights_only=True"
    if "allow_pickle" in options and not _is(options["allow_pickle"], False):
        yield "allow_pickle"
    if "shell" in options and not _is(options["shell"], False):
        yield "shell="
    if last == "import_module" and any(
        isinstance(part, ast.Name) and part.id == "argv" for part in call.args
    ):
        yield "import_module of an argument"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
