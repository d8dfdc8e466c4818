"""The plan of the house: imports go one way, public names are pinned, errors have exit codes of their own."""

import ast
import inspect
from pathlib import Path

import pytest

import ov_xai
from ov_xai import errors
from ov_xai.cli.main import EXIT_CODES

PACKAGE = Path(ov_xai.__file__).parent

#: Rooms in building order; a room imports itself and earlier ones only.
ROOMS = (
    "errors version assets arguments cards request graph analysis perturbation methods label_ids plan branches "
    "selfcheck readout planned_manifest insertion recall inspection runtime explaining folders metrics annotations "
    "evaluation quantization checks public cli __main__"
).split()
#: What a deployment needs knows nothing about how maps come into a model.
RUNTIME_MAY_IMPORT = {"errors", "version", "assets", "arguments", "graph", "runtime"}


def room_of(module):
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ov_xai":
            yield node.module
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "ov_xai")


def modules():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_from_the_later_room_to_the_earlier(path):
    relative = path.relative_to(PACKAGE)
    room = relative.parts[0].removesuffix(".py")
    for module in imports_of(path):
        other = room_of(module)
        assert ROOMS.index(other) <= ROOMS.index(room), f"{relative} imports {module}"
        if room == "runtime":
            assert other in RUNTIME_MAY_IMPORT, f"{relative} imports {module}"


def test_every_room_is_in_the_plan():
    found = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__init__", "__pycache__", "py.typed"} == set(ROOMS)


def test_nodes_are_created_in_one_place():
    for path in modules():
        if path.name in ("emit.py", "trial.py"):
            continue
        assert "opset" not in path.read_text().replace("opset13 or earlier", ""), path


def test_public_names():
    assert ov_xai.__all__ == sorted(ov_xai.__all__)
    assert set(ov_xai.__all__) == {
        "Card",
        "CardError",
        "CheckOptions",
        "ClassChoice",
        "Combine",
        "Compat",
        "DeviceError",
        "Evaluation",
        "EvaluationOptions",
        "ExplainOptions",
        "Explanation",
        "InputColor",
        "InputError",
        "InsertionRequest",
        "Inspection",
        "Manifest",
        "Mask",
        "Method",
        "MissingExtraError",
        "ModelMismatchError",
        "ModelReadError",
        "Normalise",
        "OutputError",
        "Overrides",
        "Prediction",
        "QuantizationOptions",
        "RenderOptions",
        "RequestError",
        "Resize",
        "Score",
        "SelfCheckError",
        "Session",
        "Summary",
        "UnsupportedModelError",
        "Verdict",
        "XaiError",
        "__version__",
        "check",
        "evaluate",
        "explain",
        "insert",
        "inspect",
        "quantize",
        "read_card",
        "read_manifest",
        "remove",
        "save",
    }
    for name in ov_xai.__all__:
        assert getattr(ov_xai, name).__doc__ or name == "__version__"


def test_every_error_has_an_exit_code_of_its_own():
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, errors.XaiError)]
    codes = [item.exit_code for item in classes]
    assert len(set(codes)) == len(codes)
    for code in codes:
        assert f"  {code} " in EXIT_CODES


def test_type_hints_are_shipped():
    assert (PACKAGE / "py.typed").exists()
