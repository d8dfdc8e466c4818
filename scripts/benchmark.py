#!/usr/bin/env python3
"""Measure what saliency maps cost: latency, memory, file size, insertion time.

Usage: benchmark.py [--zoo PACKED_DIR] [--models NAME ...] [--seconds S] [--precision f32|default] [--json FILE]
       benchmark.py --explain PHOTOS [--json FILE]

Plain, patched and (with --mosaic) literally perturbed models run interleaved in one process; ratios are medians of
pairs that follow each other, so they hold when the machine's speed drifts. Memory is the peak of a process of its own
that compiles and runs one model.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import openvino as ov
from random_models import MODELS as RANDOM_MODELS

from ov_xai import (
    ClassChoice,
    InsertionRequest,
    Normalise,
    RenderOptions,
    Session,
    insert,
    inspect,
    save,
)
from ov_xai.checks.by_turns import latencies
from ov_xai.checks.cost import measure_memory
from ov_xai.checks.subject import Runner
from ov_xai.explaining import ready_model
from ov_xai.graph.trial import sample_inputs
from ov_xai.methods import recipro_cam
from ov_xai.perturbation.forms import Refusal
from ov_xai.runtime.dump import DumpOptions, explain_folder
from ov_xai.runtime.images import find_images, read_image
from ov_xai.runtime.model_preprocessing import preprocessing_of

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "data" / "models"
BUNDLED = {"bundled": "efficientnet_lite0", "bundled-detector": "nanodet_g"}
GROUPS = {
    "convolutional": (
        "resnet18 mobilenetv2_100 mobilenetv3_small_100 efficientnet_b0 densenet121 squeezenet1_1 vgg11 "
        "shufflenet_v2_x0_5 inception_v3 convnext_atto nfnet_l0 poolformer_s12 light_bvlc_alexnet resnet18_int8 "
        "mobilenetv3_small_100_int8 bundled"
    ).split(),
    "class-token": (
        "vit_tiny_patch16_224 vit_tiny_patch16_224_te vit_tiny_patch16_224_onnx vit_tiny_patch16_224_int8 "
        "deit_tiny_distilled_patch16_224 pit_ti_224 cait_xxs24_224"
    ).split(),
    "pooled-token": (
        "vit_tiny_gap swin_tiny_patch4_window7_224 swin_tiny_patch4_window7_224_onnx pvt_v2_b0 mixer_s32_224 "
        "levit_128s mobilevit_xxs"
    ).split(),
    "detectors": (
        "yolov5n yolov8n yolov8n_onnx yolov8n_int8 yolox_nano ssdlite320_mbv3 ssdlite320_full retinanet_r50_fpn_v2 "
        "rtdetr-resnet50 bundled-detector"
    ).split(),
    "large": list(RANDOM_MODELS),
}
VARIANTS = {"top-5": InsertionRequest(top_k=5), "all": InsertionRequest()}


@dataclass
class Row:
    """Figures of one model and one variant.

    Attributes:
        model: name.
        variant: "top-5", "all" or "mosaic".
        plain_ms: median latency of the plain model.
        ratio: median of patched / plain latency.
        extra_percent: additional multiply-adds, in percent of the model's.
        memory_ratio: peak memory, patched / plain.
        bin_growth: bytes added to the weights file.
        insert_seconds: time of `insert` with its self-check.
    """

    model: str
    variant: str
    plain_ms: float
    ratio: float
    extra_percent: float | None
    memory_ratio: float | None
    bin_growth: int
    insert_seconds: float


def model_path(name: str, zoo: Path, folder: Path) -> Path:
    """Return the path of a bundled, a random or a packed model, the latter two written to a folder."""
    if name in BUNDLED:
        return MODELS / f"{BUNDLED[name]}.xml"
    if name not in RANDOM_MODELS:
        return unpack(zoo, name, folder)
    path = folder / f"{name}.xml"
    save(RANDOM_MODELS[name](), path)
    return path


def unpack(zoo: Path, name: str, folder: Path) -> Path:
    """Rebuild a packed architecture; return the path of its .xml."""
    spec = importlib.util.spec_from_file_location("unpack_ir", zoo / "unpack_ir.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"No unpack_ir.py in {zoo}; give --zoo.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Path(module.unpack(zoo / f"{name}.xml", folder))


def interleaved(models: dict[str, ov.Model], config: dict[str, Any], seconds: float) -> dict[str, np.ndarray]:
    """Return latencies in seconds, one per round and model, all models once per round."""
    inputs = sample_inputs(models["plain"])
    runs = [partial(Runner(model, "CPU", config).seconds, inputs) for model in models.values()]
    return dict(zip(models, latencies(runs, seconds).T, strict=True))


def literal(path: Path) -> ov.Model:
    """Return the model with its perturbations evaluated literally."""
    with mock.patch.object(recipro_cam, "replay", return_value=Refusal("switched off", "benchmark")):
        return insert(path, self_check=False)


def measure(path: Path, config: dict[str, Any], seconds: float, with_mosaic: bool, with_memory: bool) -> list[Row]:
    """Return the rows of one model."""
    models, growth, durations, memory = {"plain": ov.Core().read_model(path)}, {}, {}, {}
    plain_size = path.with_suffix(".bin").stat().st_size
    plain_memory = measure_memory(path, "CPU", config) if with_memory else 0
    with tempfile.TemporaryDirectory() as folder:
        for name, request in VARIANTS.items():
            start = time.perf_counter()
            models[name] = insert(path, request)
            durations[name] = time.perf_counter() - start
            patched = Path(folder) / f"{name}.xml"
            save(models[name], patched)
            growth[name] = patched.with_suffix(".bin").stat().st_size - plain_size
            memory[name] = measure_memory(patched, "CPU", config) / plain_memory if with_memory else None
    if with_mosaic:
        models["mosaic"] = literal(path)
    times = interleaved(models, config, seconds)
    plain = times.pop("plain")
    return [
        Row(
            path.stem,
            name,
            round(1e3 * float(np.median(plain)), 3),
            round(float(np.median(values / plain)), 4),
            inspect(path, VARIANTS[name]).extra_multiply_adds_percent if name in VARIANTS else None,
            None if memory.get(name) is None else round(memory[name], 3),
            growth.get(name, 0),
            round(durations.get(name, 0.0), 2),
        )
        for name, values in times.items()
    ]


def print_rows(rows: list[Row]) -> None:
    """Print a table, and the median and worst ratio of each variant."""
    print(f"{'model':<28}{'maps':<8}{'plain ms':>9}{'ratio':>8}{'extra MAC':>11}{'memory':>8}{'bin +':>9}{'insert':>8}")
    for row in rows:
        extra = "" if row.extra_percent is None else f"+{row.extra_percent:.2f} %"
        memory = "" if row.memory_ratio is None else f"{row.memory_ratio:.3f}"
        print(
            f"{row.model:<28}{row.variant:<8}{row.plain_ms:>9.2f}{row.ratio:>8.3f}{extra:>11}{memory:>8}"
            f"{row.bin_growth:>9}{row.insert_seconds:>7.1f}s"
        )
    for variant in dict.fromkeys(row.variant for row in rows):
        ratios = [row.ratio for row in rows if row.variant == variant]
        print(f"{variant}: median {statistics.median(ratios):.3f}, worst {max(ratios):.3f} of {len(ratios)} models")


# -- explaining a folder -------------------------------------------------------------------------------------------


def bare_throughput(model: ov.Model, tensors: list[np.ndarray], config: dict[str, Any]) -> float:
    """Return images per second of a model's asynchronous inference on prepared tensors."""
    compiled = ov.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", **config})
    queue = ov.AsyncInferQueue(compiled)
    for tensor in tensors[: len(queue)]:
        queue.start_async({0: tensor})
    queue.wait_all()
    start = time.perf_counter()
    for tensor in tensors:
        queue.start_async({0: tensor})
    queue.wait_all()
    return len(tensors) / (time.perf_counter() - start)


def prepared_tensors(model: ov.Model, files: list[Path]) -> list[np.ndarray]:
    """Return the images as f32 [1, 3, h, w], normalised."""
    prepare = preprocessing_of(model)
    return [prepare.plain(read_image(file)) for file in files]


def explain_throughput(photos: Path, count: int, rendered: bool, config: dict[str, Any]) -> float:
    """Return images per second of explaining a folder with a plain model, files included, the insertion not."""
    normalise = Normalise.MINMAX if rendered else Normalise.NONE
    session = Session(
        ready_model(MODELS / "efficientnet_lite0.xml", InsertionRequest(normalise=normalise), ClassChoice()),
        config=config,
    )
    with tempfile.TemporaryDirectory() as folder:
        options = DumpOptions(Path(folder), RenderOptions(rendered=rendered))
        start = time.perf_counter()
        explain_folder(session, photos, options)
        return count / (time.perf_counter() - start)


def measure_explain(photos: Path, config: dict[str, Any], rounds: int = 5) -> dict[str, float]:
    """Return throughput of a folder of photos relative to bare inference, the median of interleaved rounds."""
    files = [image.path for image in find_images(photos)]
    model = ov.Core().read_model(MODELS / "efficientnet_lite0.xml")
    tensors = prepared_tensors(model, files)
    pairs, raw, bare = [], [], []
    for _ in range(rounds):
        bare.append(bare_throughput(model, tensors, config))
        pairs.append(explain_throughput(photos, len(files), True, config) / bare[-1])
        raw.append(explain_throughput(photos, len(files), False, config) / bare[-1])
    return {
        "images": len(files),
        "bare_images_per_second": round(statistics.median(bare), 1),
        "pairs_ratio": round(statistics.median(pairs), 3),
        "raw_ratio": round(statistics.median(raw), 3),
    }


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, default=Path(os.environ.get("OV_XAI_ZOO", ROOT.parent / "shared" / "zoo")))
    parser.add_argument("--models", nargs="*", default=["convolutional"], help=f"names, or {', '.join(GROUPS)}")
    parser.add_argument("--seconds", type=float, default=5.0, help="per model")
    parser.add_argument("--precision", choices=["f32", "default"], default="f32")
    parser.add_argument("--mosaic", action="store_true", help="also the literal perturbation")
    parser.add_argument("--memory", action="store_true", help="also peak memory")
    parser.add_argument("--explain", type=Path, metavar="PHOTOS", help="measure `explain` on a folder instead")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    config = {"INFERENCE_PRECISION_HINT": "f32"} if arguments.precision == "f32" else {}
    if arguments.explain:
        figures: Any = measure_explain(arguments.explain, config)
        print(json.dumps(figures, indent=2))
    else:
        rows: list[Row] = []
        for name in [model for word in arguments.models for model in GROUPS.get(word, [word])]:
            with tempfile.TemporaryDirectory() as folder:
                path = model_path(name, arguments.zoo, Path(folder))
                rows += measure(path, config, arguments.seconds, arguments.mosaic, arguments.memory)
        print_rows(rows)
        figures = [asdict(row) for row in rows]
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
