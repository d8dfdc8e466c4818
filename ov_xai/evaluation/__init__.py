"""How well saliency maps explain a model: metrics over images, with intervals, for one or several methods."""

from ov_xai.evaluation.evaluating import Progress, Step, evaluate
from ov_xai.evaluation.metric_names import METRICS, Metric
from ov_xai.evaluation.options import EvaluationOptions
from ov_xai.evaluation.results import Evaluation, MethodResult

__all__ = ["METRICS", "Evaluation", "EvaluationOptions", "MethodResult", "Metric", "Progress", "Step", "evaluate"]
