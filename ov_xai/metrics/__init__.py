"""How good maps are: published metrics as pure functions on arrays, with the baselines and statistics they need.

Nothing here knows about models or files: a network is a function `Predict`, and what explains it is a function
`Explain`. SciPy, the extra "evaluate", is imported by the functions that need it.
"""

from ov_xai.metrics.adcc import AdccResult, adcc, average_drop, coherency, complexity, measure_adcc
from ov_xai.metrics.baselines import centre_gaussian, random_map, rise_maps
from ov_xai.metrics.curves import Curve, Substrate, deletion, insertion
from ov_xai.metrics.pointing import energy_pointing_game, pointing_game
from ov_xai.metrics.road import road
from ov_xai.metrics.sanity import rank_correlation
from ov_xai.metrics.sparsity import sparsity
from ov_xai.metrics.statistics import Interval, bootstrap_interval, paired_difference
from ov_xai.metrics.types import Explain, Predict

__all__ = [
    "AdccResult",
    "Curve",
    "Explain",
    "Interval",
    "Predict",
    "Substrate",
    "adcc",
    "average_drop",
    "bootstrap_interval",
    "centre_gaussian",
    "coherency",
    "complexity",
    "deletion",
    "energy_pointing_game",
    "insertion",
    "measure_adcc",
    "paired_difference",
    "pointing_game",
    "random_map",
    "rank_correlation",
    "rise_maps",
    "road",
    "sparsity",
]
