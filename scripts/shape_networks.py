"""The small networks of `train_shapes.py`: a vision transformer that names shapes and a detector that finds them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name every PyTorch program uses
from scenes import SIZE
from torch import Tensor, nn


class VisionTransformer(nn.Module):
    """A vision transformer with a class token; its patches are embedded by a few convolutions.

    With convolutions instead of one large patch a transformer this small learns forms from some ten thousand scenes
    (Xiao et al., "Early convolutions help transformers see better", arXiv 2106.14881). One block: with several, the
    class token has collected most of the evidence before the last attention, and masking what enters that shows little.
    """

    def __init__(self, classes: int, width: int = 96, heads: int = 3) -> None:
        super().__init__()
        self.side = SIZE // 8
        self.stem = nn.Sequential(
            *_strided(3, (24, 48, width)), *_convolution(width, width), nn.Conv2d(width, width, 1)
        )
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(1, 1 + self.side**2, width))
        self.block = _Block(width, heads)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, image: Tensor, gain: Tensor | None = None) -> Tensor:
        """Return logits (N, classes) of images (N, 3, SIZE, SIZE).

        Args:
            image: the images.
            gain: (N, side, side), what the tokens that enter the attention are multiplied with; None for one.
        """
        tokens = self.stem(image).flatten(2).transpose(1, 2) + self.position[:, 1:]
        first = (self.class_token + self.position[:, :1]).expand(tokens.shape[0], -1, -1)
        factors = None if gain is None else torch.cat([torch.ones_like(first[:, :, 0]), gain.flatten(1)], 1)[:, :, None]
        return self.head(self.norm(self.block(torch.cat([first, tokens], 1), factors))[:, 0])


class _Block(nn.Module):
    """Attention between tokens, then a perceptron on each; both after a norm and added to their input."""

    def __init__(self, width: int, heads: int, ratio: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.widen = nn.Linear(width, ratio * width)
        self.narrow = nn.Linear(ratio * width, width)

    def forward(self, tokens: Tensor, gain: Tensor | None) -> Tensor:
        n, t, c = tokens.shape
        entering = self.norm1(tokens) if gain is None else self.norm1(tokens) * gain
        packed = self.qkv(entering).reshape(n, t, 3, self.heads, c // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)  # (N, heads, T, C / heads)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(n, t, c)
        tokens = tokens + self.projection(attended)
        return tokens + self.narrow(F.gelu(self.widen(self.norm2(tokens))))


class Detector(nn.Module):
    """A one-stage detector without anchors, after FCOS (arXiv 1904.01355): two pyramid levels, strides 8 and 16.

    Each place gives a score per class and the distances to the four sides of a box.
    """

    strides = (8, 16)

    def __init__(self, classes: int, width: int = 96) -> None:
        super().__init__()
        self.fine = nn.Sequential(*_strided(3, (24, 48, width)), *_convolution(width, width))
        self.coarse = nn.Sequential(*_strided(width, (width,)), *_convolution(width, width))
        self.merge = nn.Conv2d(width, width, 1)
        self.scores = nn.Sequential(*_convolution(width, width), nn.Conv2d(width, classes, 3, padding=1))
        self.sides = nn.Sequential(*_convolution(width, width), nn.Conv2d(width, 4, 3, padding=1))
        nn.init.constant_(self.scores[-1].bias, -4.0)

    def logits(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (N, P, classes) and boxes xyxy (N, P, 4) in pixels, P places of both levels."""
        fine = self.fine(image)
        coarse = self.coarse(fine)
        fine = fine + F.interpolate(self.merge(coarse), scale_factor=2.0, mode="nearest")
        scores, boxes = [], []
        for level, stride in zip((fine, coarse), self.strides, strict=True):
            scores.append(self.scores(level).flatten(2).transpose(1, 2))
            sides = stride * torch.exp(self.sides(level).float().clamp(-4, 4)).flatten(2).transpose(1, 2)
            centres = places(SIZE // stride, stride)
            boxes.append(torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], 2))
        return torch.cat(scores, 1), torch.cat(boxes, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes xyxy (N, P, 4) in pixels and class probabilities (N, P, classes)."""
        scores, boxes = self.logits(image)
        return boxes, torch.sigmoid(scores)


def places(side: int, stride: int) -> Tensor:
    """Return the centres (x, y) of the cells of a square grid in pixels, (side * side, 2), row by row."""
    axis = (torch.arange(side) + 0.5) * stride
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def _strided(channels: int, widths: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width in widths:
        layers += _convolution(channels, width, 2)
        channels = width
    return layers


def _convolution(channels: int, width: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
