"""The public names, which `ov_xai` shows as its own."""

from ov_xai.cards import Card, read_card
from ov_xai.checks import CheckOptions, Verdict, check
from ov_xai.errors import (
    CardError,
    DeviceError,
    InputError,
    MissingExtraError,
    ModelMismatchError,
    ModelReadError,
    OutputError,
    RequestError,
    SelfCheckError,
    UnsupportedModelError,
    XaiError,
)
from ov_xai.evaluation import Evaluation, EvaluationOptions, evaluate
from ov_xai.folders import ExplainOptions, explain
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.insertion import insert, remove, save
from ov_xai.inspection import Inspection, inspect
from ov_xai.quantization.quantizing import QuantizationOptions, quantize
from ov_xai.request import Combine, Compat, InsertionRequest, Mask, Method, Normalise, Score
from ov_xai.runtime.choice import ClassChoice
from ov_xai.runtime.dump import Summary
from ov_xai.runtime.explanation import Explanation, RenderOptions
from ov_xai.runtime.overrides import InputColor, Overrides, Resize
from ov_xai.runtime.predictions import Prediction
from ov_xai.runtime.session import Session
from ov_xai.version import __version__

__all__ = [
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
]
