#!/usr/bin/env python3
"""Train the small models of `data/models` on drawn scenes (see scenes.py). Needs PyTorch; runs on the CPU.

Usage: train_shapes.py vit|detector [--seed SEED] [--drawn COUNT] [--steps STEPS] [--threads N]

The same seed, counts and number of threads give the same weights on the same kind of processor.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import openvino as ov
import torch
import torch.nn.functional as F  # noqa: N812 - the name every PyTorch program uses
from pointing import evaluate
from scenes import LABELS, SIZE, Array, Scene, draw_scene
from shape_networks import Detector, VisionTransformer, places
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ov_xai import insert

MODELS = Path(__file__).resolve().parent.parent / "data" / "models"
BATCH = 32
WARM_UP = 200
WEIGHT_DECAY = 0.05
#: The networks take (value - MEAN) / SCALE of values 0..255.
MEAN, SCALE = 128, 64
MODEL_INFO = {
    "labels": " ".join(LABELS),
    "mean_values": " ".join([str(MEAN)] * 3),
    "scale_values": " ".join([str(SCALE)] * 3),
    "resize_type": "standard",
    "reverse_input_channels": "True",
}

#: The least tenth at which the detector shows at most one absent class in 1000 scenes; found on 3000 of seed 3.
DETECTED = "0.6"

Loss = Callable[[list[Scene]], Tensor]


# -- data --------------------------------------------------------------------------------------------------------------


def draw(seed: int, count: int) -> list[Scene]:
    """Return the scenes of a seed, drawn by all processors."""
    with Pool() as pool:
        return pool.map(_numbered_scene, [(seed, index) for index in range(count)], chunksize=64)


def _numbered_scene(entropy: tuple[int, int]) -> Scene:
    return draw_scene(np.random.default_rng(entropy))


def varied(random: np.random.Generator, batch: list[Scene]) -> tuple[Array, list[Array]]:
    """Return the images u8 [n, SIZE, SIZE, 3] and boxes of scenes, all turned, mirrored and recoloured in one way."""
    images, boxes = np.stack([scene.image for scene in batch]), [scene.boxes for scene in batch]
    if random.random() < 0.5:
        images, boxes = images.transpose(0, 2, 1, 3), [box[:, [1, 0, 3, 2]] for box in boxes]
    if random.random() < 0.5:
        images, boxes = images[:, ::-1], [_mirrored(box, 1) for box in boxes]
    if random.random() < 0.5:
        images, boxes = images[:, :, ::-1], [_mirrored(box, 0) for box in boxes]
    if random.random() < 0.5:
        images = 255 - images
    return np.ascontiguousarray(images[..., random.permutation(3)]), boxes


def _mirrored(boxes: Array, axis: int) -> Array:
    result = boxes.copy()
    result[:, axis], result[:, axis + 2] = SIZE - boxes[:, axis + 2], SIZE - boxes[:, axis]
    return result


def as_input(images: Array) -> Tensor:
    """Return u8 [n, SIZE, SIZE, 3] as the networks want it: f32 [n, 3, SIZE, SIZE]."""
    return (torch.from_numpy(images).float().permute(0, 3, 1, 2) - MEAN) / SCALE


def batches(random: np.random.Generator, drawn: list[Scene], steps: int) -> Iterator[list[Scene]]:
    """Yield `steps` batches; every scene is used once before one is used again."""
    waiting: list[int] = []
    for _ in range(steps):
        if len(waiting) < BATCH:
            waiting = random.permutation(len(drawn)).tolist()
        yield [drawn[waiting.pop()] for _ in range(BATCH)]


# -- training ----------------------------------------------------------------------------------------------------------


def train(model: nn.Module, loss_of: Loss, stream: Iterator[list[Scene]], steps: int, rate: float) -> None:
    """Fit the model: AdamW, linear warm-up, then a cosine to zero."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * (1 + np.cos(np.pi * step / steps)) / 2
    )
    mean, start = 0.0, time.time()
    for step, batch in zip(range(1, steps + 1), stream, strict=False):
        # The fused attention of the CPU takes several times longer in BF16 than the plain products.
        with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        mean += (loss.item() - mean) / min(step, 200)
        if step % 200 == 0:
            print(f"{step}/{steps}  loss {mean:.4f}  {time.time() - start:.0f} s", flush=True)
    model.eval()


def export(model: nn.Module, name: str, outputs: list[str], info: dict[str, str]) -> Path:
    """Write the model as FP16 IR with `model_info` and return its path."""
    example = torch.zeros(1, 3, SIZE, SIZE)
    converted = ov.convert_model(model, example_input=example, input=[("image", list(example.shape))])
    converted.set_friendly_name(name)
    for port, label in zip([*converted.inputs, *converted.outputs], ["image", *outputs], strict=True):
        port.get_tensor().set_names({label})
        port.get_node().set_friendly_name(label)
    for key, value in info.items():
        converted.set_rt_info(value, ["model_info", key])
    path = MODELS / f"{name}.xml"
    ov.save_model(converted, path, compress_to_fp16=True)
    return path


# -- the vision transformer --------------------------------------------------------------------------------------------


def train_vit(random: np.random.Generator, drawn: list[Scene], steps: int) -> None:
    """Train, export and measure the multi-label vision transformer: whole scenes first, then parts of them."""
    model = VisionTransformer(len(LABELS)).to(memory_format=torch.channels_last)

    def of_scenes(batch: list[Scene]) -> Tensor:
        images, _ = varied(random, batch)
        present = torch.stack([_present(scene, np.ones(len(scene.labels))) for scene in batch])
        return F.binary_cross_entropy_with_logits(model(as_input(images)).float(), present)

    def of_parts(batch: list[Scene]) -> Tensor:
        images, boxes = varied(random, batch)
        parts = [_part(random, model.side, box) for box in boxes]
        gain = torch.from_numpy(np.stack([gain for gain, _ in parts]))
        present = torch.stack([_present(scene, left) for scene, (_, left) in zip(batch, parts, strict=True)])
        return F.binary_cross_entropy_with_logits(model(as_input(images), gain).float(), present)

    stream = batches(random, drawn, steps)
    train(model, of_scenes, stream, steps // 2, 1e-3)
    train(model, of_parts, stream, steps - steps // 2, 1e-3)
    info = {**MODEL_INFO, "model_type": "Classification", "multilabel": "True", "confidence_threshold": "0.5"}
    path = export(model, "shapes_vit", ["logits"], info)
    for mask in ("gaussian", "pixel"):
        print(f"{path.name}, mask {mask}")
        print(evaluate(insert(path, mask=mask)).describe())


def _present(scene: Scene, left: Array) -> Tensor:
    """Return the target (classes,): how much of each shape can be seen, 0..1."""
    present = torch.zeros(len(LABELS))
    present[torch.from_numpy(scene.labels)] = torch.from_numpy(left).float()
    return present


def _part(random: np.random.Generator, side: int, boxes: Array) -> tuple[Array, Array]:
    """Return gains f32 (side, side) of the tokens of a scene, and how much of each box can be seen, 0..1.

    A third of the scenes stay whole; of the others a rectangle of tokens is left. Both may be fainter by a common
    factor. So a token counts for what is there, in any company, and however weak it is.
    """
    faint = random.uniform(0.05, 1)
    if random.random() < 1 / 3:
        return np.full((side, side), 1 if random.random() < 0.5 else faint, np.float32), np.ones(len(boxes))
    height, width = np.ceil(9 ** random.uniform(0, 1, 2)).astype(int)  # small ones as often as large ones
    y, x = random.integers(0, side - height + 1), random.integers(0, side - width + 1)
    gain = np.zeros((side, side), np.float32)
    gain[y : y + height, x : x + width] = faint
    cell = SIZE // side
    low, high = np.array([x, y]) * cell, np.array([x + width, y + height]) * cell
    common = np.clip(np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low), 0, None).prod(1)
    return gain, common / (boxes[:, 2:] - boxes[:, :2]).prod(1)


# -- the detector ------------------------------------------------------------------------------------------------------


def train_detector(random: np.random.Generator, drawn: list[Scene], steps: int) -> None:
    """Train, export and measure the one-stage detector."""
    model = Detector(len(LABELS)).to(memory_format=torch.channels_last)
    centres = torch.cat([places(SIZE // stride, stride) for stride in Detector.strides])
    radius = torch.cat([torch.full(((SIZE // stride) ** 2,), 0.8 * stride) for stride in Detector.strides])

    def loss_of(batch: list[Scene]) -> Tensor:
        images, boxes = varied(random, batch)
        scores, found = model.logits(as_input(images))
        targets = [
            _assigned(centres, radius, torch.from_numpy(scene.labels), torch.from_numpy(box).float())
            for scene, box in zip(batch, boxes, strict=True)
        ]
        wanted, wanted_boxes = torch.stack([a for a, _ in targets]), torch.stack([b for _, b in targets])
        positive = wanted.sum(2) > 0
        count = positive.sum().clamp(min=1)
        sides = 1 - _overlap(found[positive], wanted_boxes[positive])
        return (_focal(scores.float(), wanted) + sides.sum()) / count

    train(model, loss_of, batches(random, drawn, steps), steps, 1e-3)
    path = export(model, "shapes_detector", ["boxes", "scores"], {**MODEL_INFO, "confidence_threshold": DETECTED})
    print(path.name)
    print(evaluate(insert(path)).describe())


def _assigned(centres: Tensor, radius: Tensor, labels: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return class targets (P, classes) and box targets (P, 4): a place near the centre of a box stands for it."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    near = (centres[:, None] - middle[None]).abs().amax(2) <= radius[:, None]  # (P, n)
    wanted = torch.zeros(len(centres), len(LABELS))
    target = torch.zeros(len(centres), 4)
    for index, label in enumerate(labels):
        wanted[near[:, index], label] = 1
        target[near[:, index]] = boxes[index]
    return wanted, target


def _focal(scores: Tensor, wanted: Tensor) -> Tensor:
    """Return the focal loss (arXiv 1708.02002), gamma 2, alpha 0.25, summed."""
    loss = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    missed = (wanted - scores.sigmoid()).abs()
    return ((0.25 * wanted + 0.75 * (1 - wanted)) * missed**2 * loss).sum()


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    """Return the generalised intersection over union (arXiv 1902.09630) of boxes xyxy (n, 4), row by row."""
    common = (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp(min=0).prod(1)
    hull = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(1)
    union = (one[:, 2:] - one[:, :2]).prod(1) + (other[:, 2:] - other[:, :2]).prod(1) - common
    return common / union - (hull - union) / hull


TRAINERS = {"vit": (train_vit, 9000), "detector": (train_detector, 7000)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=TRAINERS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drawn", type=int, default=32768, help="scenes to draw")
    parser.add_argument("--steps", type=int, help=f"batches of {BATCH}")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    trainer, default_steps = TRAINERS[given.model]
    trainer(np.random.default_rng(given.seed), draw(given.seed, given.drawn), given.steps or default_steps)
