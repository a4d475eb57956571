#!/usr/bin/env python3
"""Compares palmd's outputs with TFLite's, network by network and instruction set by instruction set, on
noise, plain colours, drawn hands and, where there are any, pictures of hands. Ends with 1 when an output
is off by more than 1e-3 of its range. Runs in the peers' Python, see measure.py. For another processor:

    outputs.py models/hand_landmark_lite.onnx --simd neon --network target/aarch64-.../examples/network \\
        --under "qemu-aarch64-static -L /usr/aarch64-linux-gnu"
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from peer import tflite_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models"))
from verify import PROBABILITIES, hand  # noqa: E402

TOLERANCE = 1e-3
PICTURES = 24


def inputs(name: str, size: int, media: Path | None) -> Iterator[tuple[str, np.ndarray]]:
    """Of what kind, and size x size x 3, RGB 0..1."""
    rng = np.random.default_rng(5)
    for low in (0, 0, -1):
        yield "random", rng.uniform(low, 1, (size, size, 3))
    for colour in ((0, 0, 0), (0.5, 0.5, 0.5), (1, 1, 1), (0, 1, 0)):
        yield "constant", np.broadcast_to(np.array(colour), (size, size, 3))
    for skin in ((0.85, 0.62, 0.50), (0.55, 0.36, 0.26)):
        drawn = hand(size, skin)[0].transpose(1, 2, 0)
        yield "drawn", drawn
        yield "drawn", drawn[:, ::-1]
    if media:
        for picture in pictures(media, whole=name.startswith("palm"), size=size):
            yield "filmed", picture


def pictures(media: Path, whole: bool, size: int) -> Iterator[np.ndarray]:
    """Pictures that MediaPipe found a hand in: the whole, or a square around the hand."""
    import cv2

    found = json.loads((media / "pictures.mediapipe.json").read_text())
    with_hands = [(name, about["hands"][0]) for name, about in sorted(found.items()) if about["hands"]]
    for name, first in with_hands[:: max(1, len(with_hands) // PICTURES)]:
        pixels = cv2.imread(str(media / "pictures" / Path(name).name), cv2.IMREAD_COLOR)
        height, width = pixels.shape[:2]
        points = np.array(first["landmarks"])[:, :2] * (width, height)
        if whole:
            middle, side = np.array([width, height]) / 2, max(width, height)
        else:
            middle, side = (points.min(0) + points.max(0)) / 2, 1.4 * np.ptp(points, axis=0).max()
        scale = size / side
        warp = np.array([[scale, 0, size / 2 - scale * middle[0]], [0, scale, size / 2 - scale * middle[1]]])
        yield cv2.cvtColor(cv2.warpAffine(pixels, warp, (size, size)), cv2.COLOR_BGR2RGB) / 255.0


def tflite(name: str, images: np.ndarray, resolver: OpResolverType) -> list[np.ndarray]:
    """TFLite's outputs, one array for each, of inputs x values."""
    interpreter = Interpreter(
        model_path=str(tflite_file(name)), num_threads=1, experimental_op_resolver_type=resolver
    )
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    # Named by their places: Identity, Identity_1, ...
    wanted = sorted(interpreter.get_output_details(), key=lambda output: output["name"])
    found = [[] for _ in wanted]
    for image in images:
        interpreter.set_tensor(given, image[None])
        interpreter.invoke()
        for values, output in zip(found, wanted):
            values.append(interpreter.get_tensor(output["index"]).ravel())
    return [np.stack(values) for values in found]


def palmd(program: list, model: Path, simd: str, images: np.ndarray) -> tuple[list[str], list[np.ndarray]]:
    """The outputs' names, and palmd's outputs as `tflite` gives them."""
    with tempfile.TemporaryDirectory() as folder:
        given, written = Path(folder) / "input.f32", Path(folder) / "output.f32"
        images.transpose(0, 3, 1, 2).tofile(given)
        command = [*program, model, "--runs", "1", "--warm-up", "0", "--input", given, "--output", written]
        done = subprocess.run(command, env=os.environ | {"PALMD_SIMD": simd}, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{program[-1]} failed with PALMD_SIMD={simd}: {done.stderr.strip()}")
        outputs = json.loads(done.stdout)["outputs"]
        lengths = [int(np.prod(shape)) for _, shape in outputs]
        values = np.fromfile(written, np.float32).reshape(len(images), sum(lengths))
    return [name for name, _ in outputs], np.split(values, np.cumsum(lengths)[:-1], axis=1)


def differences(kinds: list[str], names: list[str], expected: list[np.ndarray], found: list[np.ndarray]) -> dict[str, float]:
    """For each kind of input the largest difference, as a share of the range of the output that it is in."""
    largest = dict.fromkeys(kinds, 0.0)
    for name, right, ours in zip(names, expected, found, strict=True):
        reach = 1.0 if name in PROBABILITIES else np.ptp(right, axis=1)
        off = np.nan_to_num(np.abs(ours - right).max(axis=1), nan=np.inf) / reach
        for kind, share in zip(kinds, off):
            largest[kind] = max(largest[kind], float(share))
    return largest


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, required=True, help="the example that runs one network")
    parser.add_argument("--under", type=shlex.split, default=[], help="an emulator and its options, to run that example")
    parser.add_argument("--media", type=Path, help="folder with pictures of hands")
    parser.add_argument("--simd", nargs="+", required=True, help="what PALMD_SIMD is to be")
    parser.add_argument("model", type=Path, nargs="+")
    arguments = parser.parse_args()
    result = {}
    for model in arguments.model:
        interpreter = Interpreter(model_path=str(tflite_file(model.stem)))
        size = int(interpreter.get_input_details()[0]["shape"][1])
        kinds, images = zip(*inputs(model.stem, size, arguments.media))
        images = np.stack(images).astype(np.float32)
        plain = tflite(model.stem, images, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        found = {}
        for simd in arguments.simd:
            names, outputs = palmd([*arguments.under, arguments.network], model, simd, images)
            found[f"palmd {simd}"] = differences(kinds, names, plain, outputs)
        fast = tflite(model.stem, images, OpResolverType.AUTO)
        found["xnnpack"] = differences(kinds, names, plain, fast)
        result[model.stem] = found
        for program, largest in found.items():
            line = ", ".join(f"{kind} {share:.1e}" for kind, share in largest.items())
            print(f"{model.stem}, {program}: {line}", file=sys.stderr)
    json.dump(result, sys.stdout)
    ours = [max(of.values()) for found in result.values() for who, of in found.items() if who != "xnnpack"]
    if not max(ours) <= TOLERANCE:
        sys.exit(f"an output is off by {max(ours):.1e} of its range; {TOLERANCE:.0e} is allowed")


if __name__ == "__main__":
    main()
