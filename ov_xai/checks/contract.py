"""CON: names, types, shapes and the size of what was inserted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import openvino as ov

from ov_xai.checks.coded import Check
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, failed, judged, passed
from ov_xai.graph.emit import PREFIX
from ov_xai.graph.image_input import find_image_input
from ov_xai.graph.outputs import FEATURE_VECTOR, SALIENCY_CLASSES, SALIENCY_MAP
from ov_xai.graph.view import GraphView, shape_text, sizes
from ov_xai.request import Normalise

#: The weights file may grow by this part, or by so many bytes, whichever is more.
_GROWTH, _GROWTH_BYTES = 0.01, 64 * 1024
_LABELS = ("model_info", "labels")
#: Entries of rt_info that whoever saves a model writes anew.
_REWRITTEN = ("ov_xai", "OpenVINO Runtime", "Runtime_version")


def _one_map_output(subject: Subject) -> Finding:
    found = [sorted(output.get_names()) for output in subject.patched.outputs if SALIENCY_MAP in output.get_names()]
    if len(found) != 1:
        return failed(f"{len(found)} outputs are named {SALIENCY_MAP}")
    return judged(found[0] == [SALIENCY_MAP], f"its names are {', '.join(found[0])}")


def _new_outputs_in_order(subject: Subject) -> Finding:
    found = ["/".join(sorted(output.get_names())) for output in subject.patched.outputs]
    found = found[len(subject.original.outputs) :]
    allowed = [SALIENCY_MAP, *([SALIENCY_CLASSES] if subject.manifest.top_k is not None else []), FEATURE_VECTOR]
    listed = ", ".join(name or "unnamed" for name in found) or "none"
    return judged(found in (allowed, allowed[:-1]), f"new outputs are {listed}")


def _map_type(subject: Subject) -> Finding:
    kind = subject.map_output().get_element_type()
    raw = subject.manifest.normalise == Normalise.NONE.value
    expected = ov.Type.f32 if raw else ov.Type.u8
    return judged(
        kind == expected,
        f"{kind.to_string()}, expected {expected.to_string()} with normalise {subject.manifest.normalise}",
    )


def _map_shape(subject: Subject) -> Finding:
    manifest, output = subject.manifest, subject.map_output()
    count = manifest.classes if manifest.top_k is None else manifest.top_k
    batch = _batch(subject)
    expected = [batch, *([count] if subject.class_wise else []), None, None]
    extents = sizes(output) or []
    wanted = f"[{batch or 'N'}{f', {count}' if subject.class_wise else ''}, h, w]"
    return judged(_fits(extents, expected), f"{shape_text(output)}, expected {wanted}")


def _class_ids(subject: Subject) -> Finding:
    top_k = subject.manifest.top_k
    if top_k is None:
        raise NotApplicableError("patched without --top-k: index k is the class")
    return _typed(subject, SALIENCY_CLASSES, ov.Type.i64, [_batch(subject), top_k])


def _vector(subject: Subject) -> Finding:
    if subject.new_output(FEATURE_VECTOR) is None:
        raise NotApplicableError("patched without --feature-vector")
    return _typed(subject, FEATURE_VECTOR, ov.Type.f32, [_batch(subject), None])


def _typed(subject: Subject, name: str, kind: ov.Type, expected: list[int | None]) -> Finding:
    output = subject.new_output(name)
    if output is None:
        return failed(f"there is no output {name}")
    found = output.get_element_type()
    text = f"{found.to_string()}{shape_text(output)}, expected {kind.to_string()}{_wanted(expected)}"
    return judged(found == kind and _fits(sizes(output) or [], expected), text)


def _wanted(expected: list[int | None]) -> str:
    return str(["?" if extent is None else extent for extent in expected]).replace("'", "").replace(" ", "")


def _fits(extents: list[int | None], expected: list[int | None]) -> bool:
    """Return whether extents are those expected; a dynamic one fits any."""
    return len(extents) == len(expected) and all(
        wanted is None or extent is None or extent == wanted for extent, wanted in zip(extents, expected, strict=True)
    )


def _batch(subject: Subject) -> int | None:
    source, letters = find_image_input(subject.patched)
    return (sizes(source) or [None])[0] if letters[0] == "N" else 1


def _producer(subject: Subject) -> Finding:
    node = subject.map_output().get_node().input_value(0).get_node()
    return judged(node.get_type_name() != "Softmax", f"made by {node.get_type_name()} '{node.get_friendly_name()}'")


def _full_range(subject: Subject) -> Finding:
    if subject.manifest.normalise == Normalise.NONE.value:
        raise NotApplicableError("raw maps are not scaled")
    if subject.map_output().get_element_type() != ov.Type.u8:
        raise NotApplicableError("the maps are not u8 (CON003)")
    least, most = set(), set()
    for maps in subject.explained:
        zero = maps.values.max(axis=(-2, -1)) == 0
        least |= set(maps.values.min(axis=(-2, -1)).ravel().tolist())
        most |= set(maps.values.max(axis=(-2, -1))[~zero].tolist())
    if least <= {0} and most <= {255}:
        return passed(f"each map spans 0..255 or is zero, on {subject.judged_on}")
    return failed(f"the least values go up to {max(least)}, the largest from {min(most, default=0)} on")


def _names_of_nodes(subject: Subject) -> Finding:
    view, own = GraphView(subject.patched), len(subject.original.outputs)
    results = subject.patched.get_results()
    # Names cannot be compared with those of the original: some formats have none, and readers invent them.
    added = view.ordered(view.ancestors(results[own:]) - view.ancestors(results[:own]))
    stray = [name for node in added if not (name := str(node.get_friendly_name())).startswith(PREFIX)]
    if stray:
        return failed(f"{len(stray)} of {len(added)} inserted nodes are named otherwise, e.g. '{stray[0]}'")
    return passed(f"{len(added)} inserted nodes")


def _file_growth(subject: Subject) -> Finding:
    before, after = (path.with_suffix(".bin").stat().st_size for path in (subject.original_ir, subject.patched_ir))
    allowed = max(_GROWTH * before, _GROWTH_BYTES)
    share = f" ({(after - before) / before:+.2%})" if before else ""
    return judged(after - before <= allowed, f"{after - before:+d} bytes{share}, at most {allowed:.0f} are allowed")


def _rt_info_kept(subject: Subject) -> Finding:
    before, after = _entries(subject.original_ir), _entries(subject.patched_ir)
    kept = {path: value for path, value in before.items() if path[0] not in _REWRITTEN}
    for path, value in kept.items():
        if path not in after:
            return failed(f"{'/'.join(path)} is gone")
        # Labels may be given when a model is patched.
        if after[path] != value and path != _LABELS:
            return failed(f"{'/'.join(path)} was '{value[:40]}' and is '{after[path][:40]}'")
    return passed(f"{len(kept)} entries")


def _entries(model: Path) -> dict[tuple[str, ...], str]:
    """Return the leaves of a model's rt_info by path, as they stand in its .xml; in memory they have other types."""
    root = ElementTree.parse(model).getroot().find("rt_info")
    return {} if root is None else dict(_leaves(root, ()))


def _leaves(tree: ElementTree.Element, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for item in tree:
        own = (*path, item.get("name", item.tag))
        if (value := item.get("value")) is not None:
            yield own, value
        yield from _leaves(item, own)


CHECKS = (
    Check(
        "CON001",
        "one output is named saliency_map, and nothing else",
        "Exactly one output has that name, and it has no other.",
        "Model API and other runtimes find maps by this single name.",
        "Patch the original again; do not give the output a second name.",
        _one_map_output,
    ),
    Check(
        "CON002",
        "the new outputs follow the old ones, in order",
        "saliency_map, with --top-k saliency_classes, on request feature_vector; no others.",
        "Applications that read outputs by index go on working.",
        "Patch the original again; add other outputs before patching.",
        _new_outputs_in_order,
    ),
    Check(
        "CON003",
        "saliency_map is u8, or f32 where maps are raw",
        "Its element type against `normalise` in the manifest.",
        "Runtimes take u8 maps as pictures; another type is drawn wrongly or refused.",
        "Patch the original again; keep the types of outputs when the model is converted.",
        _map_type,
    ),
    Check(
        "CON004",
        "saliency_map has one map per class, or one per image",
        "Its shape is [N, K, h, w], with --top-k [N, T, h, w], for maps per image [N, h, w].",
        "Index k must be class k.",
        "Patch the original again.",
        _map_shape,
    ),
    Check(
        "CON005",
        "saliency_classes is i64 [N, T]",
        "Type and shape of the output that names the classes of the maps.",
        "Without it nobody knows which classes the maps of --top-k belong to.",
        "Patch the original again.",
        _class_ids,
    ),
    Check(
        "CON006",
        "feature_vector is f32 [N, C]",
        "Type and shape of the feature vector.",
        "Active learning and drift detection read vectors of one length.",
        "Patch the original again.",
        _vector,
    ),
    Check(
        "CON007",
        "saliency_map does not come out of a Softmax",
        "The op that makes the output.",
        "Model API takes a model whose output is made by a Softmax for one that gives probabilities.",
        "Put a Reshape or Convert behind it, or patch the original again.",
        _producer,
    ),
    Check(
        "CON008",
        "each u8 map spans 0..255 or is zero",
        "Least and largest value of every map.",
        "Overlays of maps on another scale are pale or saturated, and maps of classes cannot be compared.",
        "Patch the original again; quantise before patching, not after it.",
        _full_range,
    ),
    Check(
        "CON009",
        "every inserted node is named under ov_xai/",
        "Friendly names of the nodes that lead to the new outputs only.",
        "`ov-xai remove` and `inspect` tell the branch from the model by these names.",
        "Patch the original again; do not rename nodes.",
        _names_of_nodes,
    ),
    Check(
        "CON010",
        "the weights are shared, not copied",
        "The .bin grows by less than 1 % or 64 KiB, whichever is more.",
        "Downloads and memory of the device grow with it.",
        "Patch the original again, and save it with `ov_xai.save`, which keeps FP16 weights FP16.",
        _file_growth,
    ),
    Check(
        "CON011",
        "rt_info is kept",
        "Every entry of the original's rt_info, model_info above all, has its value; labels may be given anew.",
        "Preprocessing and labels are read from it; without them predictions are wrong, silently.",
        "Patch the original again, and keep rt_info when the model is converted.",
        _rt_info_kept,
    ),
)
