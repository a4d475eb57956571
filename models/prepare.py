#!/usr/bin/env python3
"""Prepares the four hand networks: fetches MediaPipe's package, converts them to ONNX, verifies.

Everything is checked by its hash, before and after. What is done already is not done again; with
the package in the cache no network is needed. Needs Python 3.11 or later with venv, no root.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
VENV = CACHE / "venv"
REQUIREMENTS = HERE / "requirements.txt"

PACKAGE = "mediapipe==0.10.21"
# Any of the package's wheels would do: it is only unzipped.
WHEEL = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
WHEEL_PLATFORM = ["--python-version", "311", "--platform", "manylinux_2_28_x86_64", "--only-binary", ":all:"]


class Model(NamedTuple):
    """One network: its folder in the package, its outputs in the source's order, its hashes."""

    folder: str
    outputs: tuple[str, ...]
    source_sha256: str
    onnx_sha256: str


PALM = ("boxes", "scores")
LANDMARK = ("landmarks", "presence", "handedness", "world")
MODELS = {
    "palm_detection_lite": Model(
        "palm_detection",
        PALM,
        "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18",
        "d8cbb1a90e94de9e791a096dfc826f8e5ba63e729a11185849dc1d41a6bb2ce5",
    ),
    "palm_detection_full": Model(
        "palm_detection",
        PALM,
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
        "d80e7614eae68646d078f006b5702fb7074a0aa7d1ef279ce2ac9cb7fee9c204",
    ),
    "hand_landmark_lite": Model(
        "hand_landmark",
        LANDMARK,
        "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
        "b8373e6dfcfe346f61e61b920c66b32aec37679a30eedd7cf6eda58c62100707",
    ),
    "hand_landmark_full": Model(
        "hand_landmark",
        LANDMARK,
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        "ee97ba48aeb090d2beea34eabb1190245db186047f5ab049a09d56c3030f45fc",
    ),
}

# An output may differ from its source by at most this share of its range.
TOLERANCE = 1e-4


def say(message: str):
    print(f"models: {message}", flush=True)


def fail(message: str):
    sys.exit(f"models: {message}")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str | None:
    return sha256(path.read_bytes()) if path.is_file() else None


def onnx_file(name: str) -> Path:
    return HERE / f"{name}.onnx"


def prepared(name: str) -> bool:
    return file_sha256(onnx_file(name)) == MODELS[name].onnx_sha256


def write(path: Path, data: bytes):
    """Writes a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)


def run(command: list, what: str, hint: str = ""):
    """Runs a program; on a terminal its progress is seen."""
    output = None if sys.stdout.isatty() else subprocess.DEVNULL
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        fail(f"{what} failed: {reason}\n  the command was: {' '.join(map(str, command))}{hint}")


def enter_venv(arguments: list[str]):
    """Goes on in a virtual environment that holds the requirements."""
    python = VENV / "bin" / "python"
    stamp = VENV / "made-for"
    wanted = f"{file_sha256(REQUIREMENTS)} {sys.version}"
    if not python.exists() or not stamp.is_file() or stamp.read_text() != wanted:
        say(f"installing the converter's packages into {VENV} (340 MB)")
        run([sys.executable, "-m", "venv", "--clear", VENV], "python3 -m venv (is python3-venv installed?)")
        run(
            [python, "-m", "pip", "install", "-r", REQUIREMENTS],
            "pip install",
            "\n  is PyPI reachable? Where it has no such packages (32-bit ARM), copy models/*.onnx from another machine",
        )
        write(stamp, wanted.encode())
    if Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(python, [python, __file__, *arguments])


def wheel() -> Path:
    """MediaPipe's package, from the cache or from PyPI."""
    path = CACHE / WHEEL
    if not path.is_file():
        say(f"fetching {PACKAGE} (36 MB)")
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", *WHEEL_PLATFORM]
        run([*pip, "-d", CACHE / "partial", PACKAGE], f"fetching {PACKAGE}", "\n  is PyPI reachable?")
        (CACHE / "partial" / WHEEL).replace(path)
    found = file_sha256(path)
    if found != WHEEL_SHA256:
        fail(f"{path}: expected SHA-256 {WHEEL_SHA256}, found {found}; delete the file and run this again")
    return path


def source(package: zipfile.ZipFile, name: str) -> bytes:
    """A network as it lies in the package."""
    data = package.read(f"mediapipe/modules/{MODELS[name].folder}/{name}.tflite")
    if sha256(data) != MODELS[name].source_sha256:
        fail(f"{name}.tflite: expected SHA-256 {MODELS[name].source_sha256}, found {sha256(data)}")
    return data


def converted(name: str, data: bytes) -> bytes:
    """The ONNX file of a network, compared with its source and checked by its hash."""
    from convert import Unsupported, convert
    from verify import compare

    model = MODELS[name]
    metadata = {
        "source": f"{PACKAGE} mediapipe/modules/{model.folder}/{name}.tflite",
        "source_sha256": model.source_sha256,
        "license": "Apache-2.0",
    }
    try:
        result = convert(data, name, model.outputs, metadata)
    except Unsupported as reason:
        fail(f"{name}.tflite can't be converted: {reason}")
    say(f"{name}: largest difference from the source, and as a share of the output's range")
    for difference in compare(data, result):
        say(f"  {difference.output:<12} {difference.absolute:.1e}  {difference.relative:.1e}")
        if not difference.relative <= TOLERANCE:
            fail(f"{name}.onnx: {difference.output} is off by more than {TOLERANCE:.0e} of its range; please report this")
    if sha256(result) != model.onnx_sha256:
        fail(
            f"{name}.onnx: expected SHA-256 {model.onnx_sha256}, made {sha256(result)}; "
            f"has the converter or {REQUIREMENTS.name} changed?"
        )
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--force", action="store_true", help="convert again what is there already")
    action.add_argument(
        "--verify",
        action="store_true",
        help="write nothing: convert again, compare with the source and with the files that are there",
    )
    arguments = parser.parse_args()

    missing = [name for name in MODELS if not prepared(name)]
    if not missing and not arguments.force and not arguments.verify:
        say("all four hand networks are prepared")
        return
    CACHE.mkdir(exist_ok=True)
    enter_venv(sys.argv[1:])
    with zipfile.ZipFile(wheel()) as package:
        for name in missing if not (arguments.force or arguments.verify) else MODELS:
            result = converted(name, source(package, name))
            if arguments.verify:
                if name in missing:
                    fail(f"{onnx_file(name)} is missing or not as prepared; run `make models`")
            else:
                write(onnx_file(name), result)
                say(f"  {onnx_file(name)} ({len(result) / 1e6:.1f} MB)")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        fail(f"{error.filename or 'input or output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        fail("interrupted; run it again to go on")
