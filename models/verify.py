"""Compares an ONNX file with the TFLite network it was made from, each in its own runtime.

The inputs are drawn here: noise, plain colours, and a hand that both palm detection and the landmark
networks take for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType

# The outputs that are probabilities: what they may reach is known.
PROBABILITIES = ("presence", "handedness")


@dataclass
class Difference:
    """How far an output is from its source's, over all inputs."""

    output: str
    absolute: float
    relative: float
    """As a share of the range of the source's output."""


def hand(size: int, skin: tuple[float, float, float]) -> np.ndarray:
    """An open hand from the wrist up, 1 x 3 x size x size, RGB 0..1: capsules shaded towards their edge."""
    y, x = np.mgrid[:size, :size] / size

    def capsule(ax, ay, bx, by, a_radius, b_radius):
        dx, dy = bx - ax, by - ay
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
        return np.hypot(x - ax - along * dx, y - ay - along * dy) - a_radius - along * (b_radius - a_radius)

    fingers = [
        (0.400, 0.62, 0.20, 0.46),
        (0.400, 0.52, 0.34, 0.22),
        (0.475, 0.50, 0.46, 0.16),
        (0.540, 0.51, 0.57, 0.20),
        (0.600, 0.54, 0.68, 0.30),
    ]
    palm = capsule(0.5, 0.72, 0.5, 0.6, 0.13, 0.14)
    forearm = capsule(0.5, 0.75, 0.5, 1.1, 0.1, 0.12)
    outside = np.min([palm, forearm, *(capsule(*f, 0.042, 0.03) for f in fingers)], axis=0)
    shade = 0.55 + 0.45 * np.sqrt(np.clip(-outside / 0.05, 0, 1))
    cover = np.clip(0.5 - outside * size, 0, 1)
    wall = np.array([0.30, 0.35, 0.40])[:, None, None] * (0.7 + 0.6 * y)
    picture = wall * (1 - cover) + np.array(skin)[:, None, None] * shade * cover
    return picture[None].astype(np.float32)


def inputs(size: int) -> Iterator[np.ndarray]:
    """What the networks are compared on; the hands come first."""
    rng = np.random.default_rng(21)
    for skin in [(0.85, 0.62, 0.50), (0.55, 0.36, 0.26)]:
        yield hand(size, skin)
        yield hand(size, skin)[..., ::-1].copy()  # the other hand
    for _ in range(3):
        yield rng.random((1, 3, size, size), np.float32)
    for level in (0.0, 0.5, 1.0):
        yield np.full((1, 3, size, size), level, np.float32)


def compare(tflite: bytes, onnx: bytes) -> list[Difference]:
    """Runs both on the same inputs; one difference for each output. NaN is the largest of all."""
    # Without XNNPACK, which may compute in float16 where the processor can.
    source = Interpreter(
        model_content=tflite,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    source.allocate_tensors()
    given = source.get_input_details()[0]["index"]
    # Named by their places: Identity, Identity_1, ...
    wanted = sorted(source.get_output_details(), key=lambda output: output["name"])
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    expected = {name: [] for name in names}
    found = {name: [] for name in names}
    for x in inputs(session.get_inputs()[0].shape[2]):
        source.set_tensor(given, x.transpose(0, 2, 3, 1))
        source.invoke()
        for name, output in zip(names, wanted, strict=True):
            expected[name].append(source.get_tensor(output["index"]))
        for name, output in zip(names, session.run(None, {"input": x}), strict=True):
            found[name].append(output)

    differences = []
    for name in names:
        a, b = np.stack(expected[name]), np.stack(found[name])
        reach = 1.0 if name in PROBABILITIES else float(np.ptp(a))
        absolute = float(np.nan_to_num(np.abs(a - b), nan=np.inf).max())
        differences.append(Difference(name, absolute, absolute / reach))
    return differences
