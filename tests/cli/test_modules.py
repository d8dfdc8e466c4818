"""The plan of the command line: a file per verb, and no verb imports another."""

import ast
from pathlib import Path

import pytest

import ov_xai.cli
from ov_xai.cli.main import cli

FOLDER = Path(ov_xai.cli.__file__).parent


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_a_verb_imports_no_other_verb(verb):
    tree = ast.parse((FOLDER / f"{verb}.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & {f"ov_xai.cli.{other}" for other in cli.commands}
