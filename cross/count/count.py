#!/usr/bin/env python3
"""Counts the instructions that an inference takes on ARM: palmd's and those of TFLite with XNNPACK.

Emulated time says nothing about a board's, but the number of executed instructions is the same each
time, to a part in a thousand. Both run in the same emulator under the same plugin with the same input, on one
thread, and both believe to be on the same board, because XNNPACK chooses its kernels by the kind of
core. An inference is half the difference between three and one, so that start-up cancels out but for
the seeds of hash tables.

On 32-bit ARM only palmd is counted: the TFLite that PyPI has for it (tflite-runtime 2.14) is built
without XNNPACK. So is the gesture classifier, which is palmd's own.
"""

from __future__ import annotations

import argparse
import array
import functools
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "models"))
import prepare  # noqa: E402

CACHE = Path(os.environ.get("PALMD_CROSS_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palmd/cross")
TFLITE = "ai-edge-litert==2.3.0"
PYTHON = "python3.11"  # Debian 12's
PYTHON_PACKAGES = [f"{PYTHON}-minimal", f"lib{PYTHON}-minimal", f"lib{PYTHON}-stdlib"]
PYTHON_LIBRARIES = ["libexpat1", "zlib1g", "libffi8", "libbz2-1.0", "liblzma5"]
MODELS = [*prepare.MODELS, "gestures"]
FEWER, MORE = 1, 3
MORE_OF_SMALL = 201  # as start-up is not exactly the same each time
# palmd's own code as in a release; its dependencies are optimised in any case.
DEV_OPTIONS = [f"--config=profile.dev.package.palmd.{option}" for option in ("opt-level=3", "debug-assertions=false", "overflow-checks=false")]
BASIC = "fp asimd evtstrm crc32 cpuid"
ARMV8_2 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


class Board(NamedTuple):
    """A board as the emulated program sees it."""

    name: str
    architecture: str
    core: str
    part: int
    features: str

    @property
    def target(self) -> str:
        return {"aarch64": "aarch64-unknown-linux-gnu", "armv7": "armv7-unknown-linux-gnueabihf"}[self.architecture]

    @property
    def libraries(self) -> Path:
        return Path({"aarch64": "/usr/aarch64-linux-gnu/lib", "armv7": "/usr/arm-linux-gnueabihf/lib"}[self.architecture])

    @property
    def emulator(self) -> str:
        return {"aarch64": "qemu-aarch64", "armv7": "qemu-arm"}[self.architecture]


BOARDS = [
    Board("Raspberry Pi 4", "aarch64", "cortex-a72", 0xD08, BASIC),
    Board("Raspberry Pi 5", "aarch64", "cortex-a76", 0xD0B, ARMV8_2),
    Board("Raspberry Pi 2, 32 bit", "armv7", "cortex-a7", 0xC07, "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae"),
]


def fail(message: str):
    sys.exit(f"count: {message}")


def checked(command: list, what: str, **options) -> str:
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        fail(f"{what} failed; the reason stands above. The command was:\n  {' '.join(map(str, command))}")
    return done.stdout


@functools.cache
def emulators() -> Path:
    """The folder of emulators that load plugins: Debian 12's. Those of Debian 13 and of the backports are linked
    statically and can't; beside them Debian 12's are unpacked into the cache."""
    installed = Path(shutil.which("qemu-aarch64") or fail("qemu-aarch64 is not there")).parent
    unpacked = CACHE / "qemu-user"
    for folder in (installed, unpacked / "usr/bin"):
        if (folder / "qemu-aarch64").exists() and "-plugin" in checked([folder / "qemu-aarch64", "-help"], "qemu-aarch64"):
            return folder
    known = checked(["apt-cache", "madison", "qemu-user"], "apt-cache")
    version = next((version for version in re.findall(r"\| +(\S+) +\|", known) if version.startswith("1:7.2")), None)
    if version is None:
        fail("the qemu-user that is installed can't load plugins, and apt doesn't know that of Debian 12, which can")
    packages = unpacked / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    checked([ROOT / "cross/fetch.sh", "amd64", f"qemu-user={version}"], "fetching qemu-user", cwd=packages)
    for package in packages.iterdir():
        checked(["dpkg", "-x", package, unpacked], "dpkg")
    return unpacked / "usr/bin"


def plugin() -> Path:
    """The plugin that counts."""
    library = CACHE / "count-plugin.so"
    checked(["cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, HERE / "plugin.c"], "compiling the plugin")
    return library


def tflite() -> Path:
    """A folder with an arm64 Python and TFLite."""
    folder = CACHE / f"{TFLITE.replace('==', '-')}-{PYTHON}"
    if folder.is_dir():
        return folder
    print(f"count: fetching {PYTHON} and {TFLITE} for arm64 (35 MB) into {folder}", file=sys.stderr)
    partial = folder.with_name(folder.name + ".partial")
    checked(["rm", "-rf", partial], "rm")
    packages = partial / "packages"
    packages.mkdir(parents=True)
    checked([ROOT / "cross/fetch.sh", "arm64", *PYTHON_PACKAGES, *PYTHON_LIBRARIES], "fetching Python", cwd=packages)
    for package in packages.iterdir():
        checked(["dpkg", "-x", package, partial], "dpkg")
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 27, 28)] + ["--platform=manylinux2014_aarch64"]
    venv = partial / "venv"  # Debian's Python has no pip but in one
    checked([sys.executable, "-m", "venv", venv], "python3 -m venv")
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    checked([*pip, *platforms, "--python-version=3.11", "--target", partial / "site", TFLITE], "pip install")
    checked(["rm", "-r", packages, venv], "rm")
    partial.rename(folder)
    return folder


def disguise(board: Board) -> Path:
    """A root for the emulator with the target's libraries, in which four such cores are described."""
    root = CACHE / "boards" / board.core
    system = root / "sys/devices/system/cpu"
    for folder in (root / "proc", system):
        folder.mkdir(parents=True, exist_ok=True)
    library = root / "lib"
    library.unlink(missing_ok=True)
    library.symlink_to(board.libraries)
    core = f"Features\t: {board.features}\nCPU implementer\t: 0x41\nCPU architecture: {7 if board.architecture == 'armv7' else 8}\n"
    core += f"CPU variant\t: 0x0\nCPU part\t: {board.part:#x}\nCPU revision\t: 3\n"
    (root / "proc/cpuinfo").write_text("".join(f"processor\t: {i}\n{core}\n" for i in range(4)))
    for name in ("possible", "present"):
        (system / name).write_text("0-3\n")
    return root


def instructions(board: Board, guest: list, environment: dict[str, object] | None = None) -> int:
    """Executed by a program from its start to its end."""
    result = CACHE / "count.txt"
    result.unlink(missing_ok=True)
    variables = [argument for name, value in (environment or {}).items() for argument in ("-E", f"{name}={value}")]
    emulator = [emulators() / board.emulator, "-cpu", board.core, "-L", disguise(board), "-plugin", CACHE / "count-plugin.so"]
    command = [*map(str, emulator), *variables, *map(str, guest)]
    done = subprocess.run(command, env={**os.environ, "COUNT_FILE": str(result)}, capture_output=True, text=True)
    if done.returncode != 0:
        fail(f"under the emulator this ended with {done.returncode}:\n  {' '.join(command)}\n{done.stderr}")
    return int(result.read_text())


def per_inference(count: Callable[[int], int], more: int = MORE) -> int:
    """From what so many runs take."""
    return (count(more) - count(FEWER)) // (more - FEWER)


def count_tflite(board: Board, model: Path, source: Path, target: Path) -> int:
    folder = tflite()
    libraries = ":".join(f"{folder}/{place}/aarch64-linux-gnu" for place in ("lib", "usr/lib"))
    environment = {
        "LD_LIBRARY_PATH": libraries,
        "PYTHONHOME": folder / "usr",
        "PYTHONPATH": folder / "site",
        "PYTHONDONTWRITEBYTECODE": 1,
        "PYTHONHASHSEED": 0,
        "OPENBLAS_NUM_THREADS": 1,  # numpy's threads would spin, and be counted
    }
    python = [folder / "usr/bin" / PYTHON, HERE / "xnnpack.py", model]
    return per_inference(lambda runs: instructions(board, [*python, runs, source, target], environment))


def count_palmd(board: Board, program: Path, model: str, target: Path) -> int:
    command = [program, prepare.onnx_file(model), "--warm-up", 1, "--output", target]
    more = MORE if model in prepare.MODELS else MORE_OF_SMALL
    return per_inference(lambda runs: instructions(board, [*command, "--runs", runs]), more)


def write_pixels(model: str, folder: Path) -> Path:
    """The picture that examples/network makes up, as TFLite reads it: as rows of pixels, not channels of rows."""
    size = 192 if model.startswith("palm") else 224
    area = size * size
    values = [(i * 2654435761 % 2**32 >> 8) / 2**24 for i in range(3 * area)]
    pixels = folder / f"{size}.f32"
    pixels.write_bytes(array.array("f", (values[c * area + i] for i in range(area) for c in range(3))).tobytes())
    return pixels


def difference(left: Path, right: Path) -> float:
    """The largest, as a share of the largest output."""
    a, b = (array.array("f", path.read_bytes()) for path in (left, right))
    if len(a) != len(b):
        fail(f"{left} holds {len(a)} values and {right} {len(b)}")
    return max(abs(x - y) for x, y in zip(a, b)) / max(map(abs, b))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--profile", choices=("release", "dev"), default="release", help="how palmd is built; dev takes less time and gives nearly the same")
    parser.add_argument("--core", choices=[board.core for board in BOARDS], action="append", help="only these")
    parser.add_argument("--peer-only", action="store_true", help="count TFLite only")
    arguments = parser.parse_args()
    models = arguments.models or MODELS
    for name in models:
        if name not in MODELS:
            fail(f"{name} is no model; there are {', '.join(MODELS)}")
        if name in prepare.MODELS and not prepare.prepared(name):
            fail(f"{name}.onnx is not prepared; run `make models`")

    checked([ROOT / "cross/setup.sh"], "cross/setup.sh")
    CACHE.mkdir(parents=True, exist_ok=True)
    emulators()
    plugin()
    work = CACHE / "count"
    work.mkdir(exist_ok=True)
    with zipfile.ZipFile(prepare.wheel()) as package:
        for name in prepare.MODELS:
            (work / f"{name}.tflite").write_bytes(prepare.source(package, name))
    targets = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "cross"

    print("| board | core | model | XNNPACK, M | palmd, M | ratio | outputs differ by |")
    print("|---|---|---|---|---|---|---|")
    for board in BOARDS:
        if arguments.core and board.core not in arguments.core:
            continue
        if not arguments.peer_only:
            build = ["build", "--locked", "--profile", arguments.profile, "--example", "network"]
            if arguments.profile == "dev":
                build += DEV_OPTIONS
            checked([ROOT / "cross/cargo.sh", board.architecture, *build], "cargo build", cwd=ROOT)
        program = targets / board.target / arguments.profile.replace("dev", "debug") / "examples/network"
        for model in models:
            ours, theirs = work / "palmd.f32", work / "xnnpack.f32"
            row = {"XNNPACK": 0, "palmd": 0}
            if board.architecture == "aarch64" and model in prepare.MODELS:
                row["XNNPACK"] = count_tflite(board, work / f"{model}.tflite", write_pixels(model, work), theirs)
            if not arguments.peer_only:
                row["palmd"] = count_palmd(board, program, model, ours)
            both = all(row.values())
            cells = [f"{n / 1e6:.2f}" if n else "" for n in row.values()]
            cells += [f"{row['palmd'] / row['XNNPACK']:.3f}", f"{difference(ours, theirs):.1e}"] if both else ["", ""]
            print(f"| {board.name} | {board.core} | {model} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        fail(f"{error.filename or 'input or output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        fail("interrupted")
