"""Upstream's `parse_model`, with one branch inserted at the head of its `if` chain.

The installed version's own source is parsed, changed in four places and compiled under its own file name and line
numbers, so that a traceback of a built-in row still points into Ultralytics:

1. before the chain, our resolver is asked about the row (`from`, channels, arguments);
2. the chain becomes the `else` of that question: what the resolver answers is not seen by upstream;
3. after the chain, `from` and the channel list are put back;
4. `eval(act)` becomes a look-up by name, and `legacy` may be set by the YAML.

Nothing is executed to get there: the code object is taken from the compiled module and wrapped as a function.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from types import CodeType
from typing import Any

from lwyolo.errors import UnsupportedUltralyticsError

OLDEST, NEWEST = "8.3.100", "8.4.190"
ENTER, ROW, ACTIVATION = "_lwyolo_enter", "_lwyolo_row", "_lwyolo_activation"

KNOWN_SHAPES = {
    "0a64cc135cf5": "8.3.100",
    "bb212fa6c1f7": "8.3.120",
    "32dd4db3f466": "8.3.150",
    "2dec2c7ce4c1": "8.3.200",
    "a28ac2031485": "8.3.230",
    "3beb43713aa7": "8.3.250",
    "5e35e36cf190": "8.4.0",
    "91bc6dca1b3e": "8.4.20",
    "1ab053b04628": "8.4.60",
    "7d133e3aaf5a": "8.4.80",
    "6ed58139c10d": "8.4.120",
    "fa903a23f4dd": "8.4.140",
    "21b69e713a4c": "8.4.160",
    "4c7aa0b95180": "8.4.180",  # and 8.4.190
}
"""Hash of the text of `parse_model`, and the first of the versions tried that has it."""


def source_of(function: Any) -> tuple[str, str, int]:
    """Return text, file and first line of upstream's parser.

    Raises:
        UnsupportedUltralyticsError: The source is not at hand (a zipped or byte-compiled installation).
    """
    try:
        lines, first = inspect.getsourcelines(function)
    except OSError as error:
        raise UnsupportedUltralyticsError(
            f"the source of ultralytics.nn.tasks.parse_model cannot be read ({error}). Install Ultralytics from its "
            "wheel, not zipped or byte-compiled."
        ) from error
    return textwrap.dedent("".join(lines)), inspect.getsourcefile(function) or "<ultralytics>", first


def shape_of(source: str) -> str:
    """Return the hash that `KNOWN_SHAPES` lists."""
    return hashlib.blake2b(source.rstrip("\n").encode(), digest_size=6).hexdigest()


def compile_parser(source: str, file: str, first_line: int, version: str) -> CodeType:
    """Insert the branch and return the code of the changed function.

    Raises:
        UnsupportedUltralyticsError: `parse_model` has a shape that is not known; nothing is guessed.
    """
    module = ast.parse(source)
    function = module.body[0]
    loop, build_at = _find_row_loop(function, version)
    chain = loop.body[build_at - 1]
    _insert_branch(loop, build_at, chain)
    _Rewrite().visit(function)
    ast.fix_missing_locations(ast.increment_lineno(module, first_line - 1))
    code = compile(module, file, "exec")
    return next(const for const in code.co_consts if isinstance(const, CodeType) and const.co_name == "parse_model")


def _find_row_loop(function: ast.AST, version: str) -> tuple[ast.For, int]:
    """Find the loop over rows, and in it the statement that builds the module, right after the `if` chain."""
    for loop in ast.walk(function):
        if isinstance(loop, ast.For) and ast.unparse(loop.target) in ("(i, (f, n, m, args))", "i, (f, n, m, args)"):
            for at, statement in enumerate(loop.body):
                builds = isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "m_"
                if builds and at and isinstance(loop.body[at - 1], ast.If):
                    return loop, at
    raise UnsupportedUltralyticsError(
        f"Ultralytics {version}: parse_model has a shape that lwyolo does not know, so registered modules cannot be "
        f"built. Tested: {OLDEST} to {NEWEST}. Install one of these, or report the version."
    )


def _insert_branch(loop: ast.For, at: int, chain: ast.stmt) -> None:
    before = ast.parse(f"{ROW} = {ENTER}(i, f, n, m, args, ch, legacy)\nf, ch = {ROW}.source, {ROW}.channels").body
    branch = ast.parse(
        f"if {ROW}.resolved:\n    args, n, c2 = {ROW}.args, {ROW}.repeats, {ROW}.c2\nelse:\n    pass"
    ).body[0]
    after = ast.parse(f"f, ch = {ROW}.written_source, {ROW}.all_channels").body
    branch.orelse = [chain]  # type: ignore[attr-defined]  # the text above is an `if`
    for statement in (*before, branch, *after):
        ast.copy_location(statement, chain)
        for node in ast.walk(statement):
            if node is not chain and not hasattr(node, "lineno"):
                ast.copy_location(node, chain)
    for statement in (*before, *after):
        for node in ast.walk(statement):
            ast.copy_location(node, chain)
    loop.body[at - 1 : at] = [*before, branch, *after]


class _Rewrite(ast.NodeTransformer):
    """`eval(act)` to a look-up by name; `legacy = True` to the YAML's own `legacy`, true when absent."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "eval":
            node.func.id = ACTIVATION
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        if ast.unparse(node) == "legacy = True":
            node.value = ast.copy_location(ast.parse("d.get('legacy', True)", mode="eval").body, node.value)
        return node
