"""MAN: the record that a patched model carries about itself."""

from __future__ import annotations

from ov_xai.checks.coded import Check
from ov_xai.checks.reinsertion import is_shipped
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, failed, judged, passed
from ov_xai.errors import ModelReadError, SelfCheckError, UnsupportedModelError
from ov_xai.graph.io import source_digest
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.view import GraphView, sizes
from ov_xai.insertion import patch
from ov_xai.request import Method
from ov_xai.selfcheck import check_outputs
from ov_xai.version import __version__


def _is_readable(subject: Subject) -> Finding:
    try:
        manifest = read_manifest(subject.patched)
    except ModelReadError as error:
        return failed(str(error))
    if manifest is None:
        return failed("rt_info holds nothing under ov_xai/manifest")
    known = {method.value for method in Method}
    if manifest.method not in known:
        return failed(f"method is '{manifest.method}'; expected one of {', '.join(sorted(known))}")
    return passed(f"schema {manifest.schema}, written by ov-xai {manifest.ov_xai}, method {manifest.method}")


def _describes_the_graph(subject: Subject) -> Finding:
    manifest = subject.manifest
    problems = [*_missing_targets(subject, manifest), *_other_grid(subject, manifest)]
    if problems:
        return failed("; ".join(problems))
    problems = [*map(str, subject.again.differences), *_needless_tolerance(subject, manifest)]
    if problems:
        written = "" if manifest.ov_xai == __version__ else f", written by ov-xai {manifest.ov_xai}"
        return failed("; ".join(problems) + written)
    grid = "x".join(str(extent or "?") for extent in manifest.grid)
    return passed(
        f"target {', '.join(manifest.target)}, grid {grid}, {manifest.classes} classes{_taken_on_trust(manifest)}"
    )


def _missing_targets(subject: Subject, manifest: Manifest) -> list[str]:
    view = GraphView(subject.plain)
    return [f"no node is named '{name}'" for name in manifest.target if view.find(name) is None]


def _other_grid(subject: Subject, manifest: Manifest) -> list[str]:
    found = (sizes(subject.map_output()) or [])[-2:]
    same = all(
        told is None or extent is None or told == extent for told, extent in zip(manifest.grid, found, strict=True)
    )
    return [] if same else [f"grid is {manifest.grid}, but the maps are {found}"]


def _needless_tolerance(subject: Subject, manifest: Manifest) -> list[str]:
    """Refuse to compare predictions loosely (OUT004) when an insertion keeps every bit of them."""
    if manifest.exact_outputs or not any(_is_exact(subject, apart) for apart in (False, True)):
        return []
    return ["exact_outputs is False, but an insertion keeps every bit on this machine"]


def _is_exact(subject: Subject, apart: bool) -> bool:
    try:
        done = patch(subject.plain, subject.again.request, apart=apart, rounded=subject.manifest.rounded)
        return check_outputs(subject.original, done.model)
    except (SelfCheckError, UnsupportedModelError):
        return False


def _taken_on_trust(manifest: Manifest) -> str:
    if manifest.card is None or is_shipped(manifest.card):
        return ""
    return f"; its card '{manifest.card}' does not come with ov-xai"


def _names_the_original(subject: Subject) -> Finding:
    source = subject.original if subject.original_path is None else subject.original_path
    digest, told = source_digest(source), subject.manifest.source_sha256
    if subject.original_path is None and digest != told:
        raise NotApplicableError("the original is in memory; a file it may have been read from has another digest")
    return judged(digest == told, f"source_sha256 is {told[:12] or 'empty'}, the original has {digest[:12]}")


CHECKS = (
    Check(
        "MAN001",
        "the manifest is there and can be read",
        "rt_info ov_xai/manifest holds JSON of a known schema that names a known method.",
        "Runtimes learn from it what the maps are; without it none of them is shown.",
        "Patch the original again with `ov-xai insert`, and keep rt_info when the model is converted.",
        _is_readable,
    ),
    Check(
        "MAN002",
        "the manifest describes this graph",
        "The grid is that of saliency_map, and the insertion that the manifest tells of, made again, records the same: "
        "task, target, classes, activation, strategy, where predictions stand, and so on.",
        "Maps are laid over the photo and named, and confidences read, by what the manifest says.",
        "Patch the original again; a manifest must not be copied from another model.",
        _describes_the_graph,
    ),
    Check(
        "MAN003",
        "the manifest names this original",
        "source_sha256 is the SHA-256 of the file(s) of ORIGINAL.",
        "A model patched from an older export explains other predictions than those in use.",
        "Give the file that was patched as ORIGINAL, or patch this one again.",
        _names_the_original,
    ),
)
