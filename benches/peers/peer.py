#!/usr/bin/env python3
"""One of palmd's peers in a process of its own: runs a network, or follows hands through a clip, and
prints as JSON what that cost. Also makes the clips. Runs in the peers' Python, see measure.py.

Times are CPU time of the whole process, so that no thread's work is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

PACKAGES = ("ai-edge-litert", "onnxruntime", "mediapipe")

cpu_ns = time.process_time_ns


def tflite_file(name: str) -> Path:
    """A hand network as it lies in MediaPipe's package."""
    package = importlib.metadata.distribution("mediapipe")
    folder = name.rpartition("_")[0]
    return Path(package.locate_file(f"mediapipe/modules/{folder}/{name}.tflite"))


def pseudo_random(shape: tuple[int, ...]) -> np.ndarray:
    """The input that `examples/network.rs` takes without `--input`."""
    i = np.arange(np.prod(shape), dtype=np.uint32)
    return ((i * np.uint32(2654435761) >> 8) / np.float32(2**24)).astype(np.float32).reshape(shape)


def xnnpack(onnx: Path) -> Callable[[], object]:
    """TFLite with its XNNPACK kernels, one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(tflite_file(onnx.stem)), num_threads=1)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]
    _, height, width, channels = given["shape"]
    image = pseudo_random((1, channels, height, width)).transpose(0, 2, 3, 1)
    interpreter.set_tensor(given["index"], np.ascontiguousarray(image))
    return interpreter.invoke


def onnxruntime(onnx: Path) -> Callable[[], object]:
    """onnxruntime's CPU provider, one thread, with input and outputs bound to memory."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    bound = session.io_binding()
    given = session.get_inputs()[0]
    bound.bind_cpu_input(given.name, pseudo_random(given.shape))
    for output in session.get_outputs():
        bound.bind_output(output.name)
    return lambda: session.run_with_iobinding(bound)


def run_network(runtime: Callable[[Path], Callable], onnx: Path, runs: int, warm_up: int) -> dict:
    # What is imported once does not count as loading a network.
    importlib.import_module({xnnpack: "ai_edge_litert.interpreter", onnxruntime: "onnxruntime"}[runtime])
    began = cpu_ns()
    run = runtime(onnx)
    load = cpu_ns() - began
    for _ in range(warm_up):
        run()
    times = []
    for _ in range(runs):
        began = cpu_ns()
        run()
        times.append(cpu_ns() - began)
    return {"load_cpu_ns": load, "cpu_ns": times}


def follow_hands(clip: Path, warm_up: int, hands: int, full: bool) -> dict:
    """MediaPipe's own Python pipeline; decoding is left out."""
    import cv2
    from mediapipe.python.solutions.hands import Hands

    frames = [cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420) for yuv in read_y4m(clip)]
    tracker = Hands(static_image_mode=False, max_num_hands=hands, model_complexity=int(full))
    for frame in frames[:warm_up]:
        tracker.process(frame)
    seen = 0
    began = cpu_ns()
    for frame in frames[warm_up:]:
        seen += len(tracker.process(frame).multi_hand_landmarks or [])
    measured = len(frames) - warm_up
    return {"cpu_ns_per_frame": (cpu_ns() - began) / measured, "hands_per_frame": seen / measured}


def read_y4m(clip: Path) -> Iterator[np.ndarray]:
    """The frames of a Y4M file that `write_y4m` wrote, as OpenCV takes I420."""
    with clip.open("rb") as file:
        words = file.readline().decode().split()
        width, height = int(words[1][1:]), int(words[2][1:])
        while file.readline():
            pixels = file.read(width * height * 3 // 2)
            yield np.frombuffer(pixels, np.uint8).reshape(height * 3 // 2, width)


def write_y4m(clip: Path, frames: list[np.ndarray], count: int):
    """Plays RGB frames forwards and backwards until there are `count`, so that nothing jumps."""
    import cv2

    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    frames = [cv2.cvtColor(np.ascontiguousarray(f[:height, :width]), cv2.COLOR_RGB2YUV_I420) for f in frames]
    there_and_back = frames + frames[-2:0:-1]
    with clip.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip C420jpeg\n".encode())
        for i in range(count):
            file.write(b"FRAME\n" + there_and_back[i % len(there_and_back)].tobytes())


def read_rgb(raw: Path, width: int, height: int) -> list[np.ndarray]:
    """The frames that `examples/synthetic.rs` writes."""
    return list(np.fromfile(raw, np.uint8).reshape(-1, height, width, 3))


def read_film(film: Path) -> list[np.ndarray]:
    """The RGB frames of a film."""
    import cv2

    opened, frames = cv2.VideoCapture(str(film)), []
    while (frame := opened.read()[1]) is not None:
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    return frames


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("versions")
    for runtime in ("xnnpack", "onnxruntime"):
        network = commands.add_parser(runtime)
        network.add_argument("model", type=Path)
        network.add_argument("--runs", type=int, required=True)
        network.add_argument("--warm-up", type=int, required=True)
    mediapipe = commands.add_parser("mediapipe")
    mediapipe.add_argument("clip", type=Path)
    mediapipe.add_argument("--warm-up", type=int, required=True)
    mediapipe.add_argument("--hands", type=int, required=True)
    mediapipe.add_argument("--full", action="store_true")
    clip = commands.add_parser("clip")
    clip.add_argument("clip", type=Path)
    clip.add_argument("--frames", type=int, nargs="+", required=True, help="one file for each length, NAME-LENGTH.y4m")
    clip.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="of raw RGB frames")
    clip.add_argument("source", type=Path, nargs="+", help="a film, or raw RGB frames; several side by side")
    arguments = parser.parse_args()

    # Only the answer goes to standard output; the runtimes write there as well.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    match arguments.command:
        case "versions":
            result = {package: importlib.metadata.version(package) for package in PACKAGES}
        case "xnnpack":
            result = run_network(xnnpack, arguments.model, arguments.runs, arguments.warm_up)
        case "onnxruntime":
            result = run_network(onnxruntime, arguments.model, arguments.runs, arguments.warm_up)
        case "mediapipe":
            result = follow_hands(arguments.clip, arguments.warm_up, arguments.hands, arguments.full)
        case "clip":
            if arguments.size:
                sources = [read_rgb(raw, *arguments.size) for raw in arguments.source]
            else:
                sources = [read_film(film) for film in arguments.source]
            frames = [np.hstack(beside) for beside in zip(*sources)]
            for count in arguments.frames:
                write_y4m(arguments.clip.with_name(f"{arguments.clip.name}-{count}.y4m"), frames, count)
            height, width = frames[0].shape[:2]
            result = {"width": width, "height": height}
    with contextlib.closing(answer):
        json.dump(result, answer)


if __name__ == "__main__":
    try:
        main()
    except (OSError, importlib.metadata.PackageNotFoundError) as error:
        sys.exit(f"{Path(__file__).name}: {error}")
