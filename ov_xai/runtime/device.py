"""Compile a model for a device, with an error that says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openvino as ov

from ov_xai.errors import DeviceError
from ov_xai.graph.reason import reason_of

#: Devices that stand for a choice among others.
_VIRTUAL = frozenset({"AUTO", "MULTI", "HETERO", "BATCH"})


def require_device(core: ov.Core, device: str) -> None:
    """Refuse a device that OpenVINO does not find.

    Raises:
        DeviceError: there is no such device.
    """
    base = device.split(":", maxsplit=1)[0].split(".", maxsplit=1)[0].upper()
    known = {name.split(".")[0].upper() for name in core.available_devices} | _VIRTUAL
    if base not in known:
        raise DeviceError(
            f"Device '{device}' is not available; found: {', '.join(core.available_devices)}. Check the drivers."
        )


def compile_for(model: ov.Model, device: str, settings: Mapping[str, Any]) -> ov.CompiledModel:
    """Return the model compiled for a device.

    Args:
        model: the model.
        device: OpenVINO device name, in any case.
        settings: properties for `compile_model`.

    Raises:
        DeviceError: the device is unknown or cannot run the model.
    """
    core, device = ov.Core(), device.upper()
    require_device(core, device)
    try:
        return core.compile_model(model, device, dict(settings))
    except RuntimeError as error:
        raise DeviceError(f"Device '{device}' cannot run the model: {reason_of(error)}. Try --device CPU.") from error
