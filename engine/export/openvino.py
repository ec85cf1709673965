"""OpenVINO: a model's ONNX form as OpenVINO's own, in floats or with int8 weights, and the session that answers by it.

int8 is written here rather than by NNCF, which would bring a dozen packages for what these models need of it: the
weights of matrix products and word embeddings in 8 bits with one scale a row, which OpenVINO multiplies with
activations rounded as they come, in groups along each token. So a text's answer never depends on another's.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError

FILE = "model.xml"
GROUP = 32
"""Activations that share a scale. Under random heads int8 changed the likeliest label of 3% of 600 headlines with 32,
of 4% with one scale a token, which was up to a fifth faster, and of 5% with one scale a text (ONNX Runtime)."""
SMALLEST = 1024
"""Weights of fewer numbers stay floats: nothing is gained by rounding them."""
_FIRST_CALL = Lock()


def is_installed() -> bool:
    return find_spec("openvino") is not None


def convert(onnx: Path, folder: Path, *, int8: bool) -> Path:
    """Write `folder/model.xml` and its weights from an fp32 ONNX model.

    Raises:
        InputError: OpenVINO is not installed.
    """
    openvino = _library()
    model = openvino.Core().read_model(str(onnx))
    if int8:
        _round_weights(model)
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, str(folder / FILE), compress_to_fp16=False)
    return folder / FILE


class OpenVinoSession:
    """Single-text calls on the CPU, one single-threaded stream a core. Products in bf16 where the chip has it.

    Raises:
        InputError: OpenVINO is not installed.
    """

    def __init__(self, path: Path) -> None:
        # The bindings set themselves up at their first call, and two first calls at once wait for each other for ever.
        with _FIRST_CALL:
            self._open(path)

    def _open(self, path: Path) -> None:
        core = _library().Core()
        cores = os.cpu_count() or 1
        model = core.read_model(str(path))
        is_int8 = any(node.get_element_type().get_type_name() == "i8" for node in model.get_ops() if _is_constant(node))
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        settings = {
            "NUM_STREAMS": cores,
            "INFERENCE_NUM_THREADS": cores,
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if has_bf16 and not is_int8 else "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP if is_int8 else 0,
        }
        compiled = core.compile_model(model, "CPU", settings)
        self._outputs = len(compiled.outputs)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(cores):
            request = compiled.create_infer_request()
            self._ask(request, [0])
            self._idle.put(request)

    def __call__(self, input_ids: list[int]) -> list[NDArray[np.float64]]:
        request = self._idle.get()
        try:
            return self._ask(request, input_ids)
        finally:
            self._idle.put(request)

    def _ask(self, request: Any, input_ids: list[int]) -> list[NDArray[np.float64]]:
        ids = np.array([input_ids], dtype=np.int64)
        request.infer({"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return [np.array(request.get_output_tensor(n).data[0], dtype=np.float64) for n in range(self._outputs)]


def _library() -> Any:
    if not is_installed():
        raise InputError("OpenVINO is not installed; run: pip install 'keel-suite[openvino]'")
    # At import it would report to Google Analytics; without this module it does without. Keel calls no one unasked.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _round_weights(model: Any) -> None:
    """Put int8 weights with a float scale a row in the place of the float ones, in place."""
    from openvino import opset13 as op

    for node in model.get_ordered_ops():
        place = {"MatMul": 1, "Gather": 0}.get(node.get_type_name())
        if place is None or not _is_constant(held := node.input_value(place).get_node()):
            continue
        weights = held.get_data()
        if weights.dtype != np.float32 or weights.ndim != 2 or weights.size < SMALLEST:
            continue
        turned = place == 1 and not node.get_attributes()["transpose_b"]
        rows = weights.T if turned else weights  # one scale an output channel, or a word
        scale = np.maximum(np.abs(rows).max(1, keepdims=True), 1e-12) / 127
        rounded = op.constant(np.ascontiguousarray(np.round(rows / scale).astype(np.int8)))
        floats = op.multiply(op.convert(rounded, np.float32), op.constant(scale.astype(np.float32)))
        if place == 0:
            new = op.gather(floats, node.input_value(1), node.input_value(2))
        else:
            new = op.matmul(node.input_value(0), floats, node.get_attributes()["transpose_a"], True)
        new.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(new.output(0))


def _is_constant(node: Any) -> bool:
    return bool(node.get_type_name() == "Constant")
