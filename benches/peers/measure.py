#!/usr/bin/env python3
"""Measures palmd against other runtimes on this machine, and writes docs/performance.md. Fails before it
measures anything if palmd's outputs are not TFLite's.

Everything runs on one core, in processes of its own, each started several times. Those that are compared
take turns of a tenth of a second; what counts is CPU time, and the ratio to the peer of the same round. `make bench-peers` builds what is
measured first. Needs Python 3.11 or 3.12 with venv, and 1.3 GB for the peers' packages, which are
installed once from PyPI; PALMD_PEERS_PYTHON names an interpreter that has them already.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import itertools
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = HERE / ".cache"
PEER = HERE / "peer.py"
REQUIREMENTS = HERE / "requirements.txt"
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"

PARTS = ("outputs", "networks", "pipelines")
NETWORKS = ("hand_landmark_lite", "hand_landmark_full", "palm_detection_lite", "palm_detection_full")
# What PALMD_SIMD takes, and the flags in /proc/cpuinfo that it needs.
SIMD = {
    "avx512": {"avx512f", "avx512vl", "avx512bw", "avx512dq"},
    "avx2": {"avx2", "fma"},
    "neon": {"asimd"},
    "portable": set(),
}

# How long a program runs before it is another one's turn.
SLICE_S = 0.1

# Frames of a clip before anything counts, and all of them.
WARM_UP_FRAMES, FRAMES = 40, 240
# Hands in view, and what the drawn clip is made of: scripts for pictures that stand side by side.
DRAWN = {
    0: ["size 640x480; hide 3s"],
    1: ["size 640x480; wait 0.5s; open-palm 0.6s; fist 0.6s; wait 0.5s"],
    2: [f"size 320x480; hand {side}; wait 0.5s; open-palm 0.6s; fist 0.6s; wait 0.5s" for side in ("left", "right")],
}
# Clips of PALMD_MEDIA.
FILMED = {0: "neg_kazu__cat", 1: "prasad9__okay", 2: "victor__hand2"}
# Hands in view, hands allowed.
SITUATIONS = [(1, 1), (1, 2), (2, 2), (0, 1)]


def say(message: str):
    print(f"bench-peers: {message}", flush=True)


def fail(message: str):
    sys.exit(f"bench-peers: {message}")


class Program:
    """A program on one core, that has been started and stopped again."""

    def __init__(self, command: list[str], environment: dict[str, str], core: int):
        self.command = command
        self.written, self.remarks = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command,
            env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            stdout=self.written,
            stderr=self.remarks,
        )
        self.signal(signal.SIGSTOP)
        self.output = ""
        self.cpu_ms = 0.0

    def signal(self, number: signal.Signals):
        # Not Popen's own, which would take the status of a process that has ended, and lose its CPU time.
        os.kill(self.process.pid, number)

    def go_on(self, seconds: float | None) -> bool:
        """Runs for a while, or to its end; whether it has ended."""
        self.signal(signal.SIGCONT)
        if seconds:
            time.sleep(seconds)
            self.signal(signal.SIGSTOP)
        pid, status, used = os.wait4(self.process.pid, os.WNOHANG if seconds else 0)
        if pid == 0:
            return False
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_ms = (used.ru_utime + used.ru_stime) * 1e3
        with self.written, self.remarks:
            self.written.seek(0)
            self.remarks.seek(0)
            self.output, remarks = self.written.read(), self.remarks.read()
        if self.process.returncode != 0:
            reason = (remarks.strip().splitlines() or [f"it ended with {self.process.returncode}"])[-1]
            fail(f"{Path(self.command[0]).name} failed: {reason}\n  the command was: {' '.join(self.command)}")
        return True


def take_turns(programs: Iterable[Program]):
    """Runs programs to their ends, one at a time and each for a short while: what slows the machine down
    meanwhile slows all of them."""
    running = list(programs)
    try:
        while running:
            running = [program for program in running if not program.go_on(SLICE_S if len(running) > 1 else None)]
    finally:
        for program in running:
            program.process.kill()


def network_costs(found: dict) -> dict:
    costs = {"run_ms": median(found["cpu_ns"]) / 1e6, "load_ms": found["load_cpu_ns"] / 1e6}
    if "allocator" in found:
        costs["allocator_calls"] = sum(found["allocator"].values()) / len(found["cpu_ns"])
    return costs


def mediapipe_costs(program: Program) -> dict:
    found = json.loads(program.output)
    return {"frame_ms": found["cpu_ns_per_frame"] / 1e6, "hands": found["hands_per_frame"]}


def pose_costs(whole: Program, beginning: Program) -> dict:
    """Of palmd on a whole clip, without what it takes to start and to warm up on its beginning."""
    measured = FRAMES - WARM_UP_FRAMES
    lines = whole.output.splitlines()[WARM_UP_FRAMES:]
    hands = sum(len(json.loads(line)["hands"]) for line in lines)
    return {"frame_ms": (whole.cpu_ms - beginning.cpu_ms) / measured, "hands": hands / measured}


class Bench:
    """The programs that are measured, and how they are run."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.python = peers_python()
        self.simd = supported_simd()
        self.done = self.total = 0
        for program in (arguments.palmd, arguments.network, arguments.synthetic):
            if not program.is_file():
                fail(f"{program} is missing; `cargo build --release --bins --examples`, or name another")
        for name in NETWORKS:
            if not (arguments.models / f"{name}.onnx").is_file():
                fail(f"{arguments.models / name}.onnx is missing; run `make models`, or name another folder with --models")

    def start(self, command: list, simd: str | None = None) -> Program:
        """Starts a program on the core, with one instruction set for palmd."""
        environment = os.environ | {"PALMD_MODELS": str(self.arguments.models)}
        if simd:
            environment["PALMD_SIMD"] = simd
        return Program(list(map(str, command)), environment, self.arguments.core)

    def run(self, command: list) -> Program:
        program = self.start(command)
        take_turns([program])
        return program

    def peer(self, *arguments) -> dict:
        return json.loads(self.run([self.python, PEER, *arguments]).output)

    def step(self, what: str, ms: dict[str, float]):
        self.done += 1
        say(f"[{self.done}/{self.total}] {what}: {', '.join(f'{name} {ms:.2f} ms' for name, ms in ms.items())}")

    def outputs(self) -> dict:
        """For each network, program and kind of input, the largest difference from TFLite's outputs."""
        say("comparing outputs with TFLite's")
        media = ["--media", self.arguments.media] if self.arguments.media else []
        models = [self.arguments.models / f"{name}.onnx" for name in NETWORKS]
        options = ["--network", self.arguments.network, "--simd", *self.simd]
        return json.loads(self.run([self.python, HERE / "outputs.py", *models, *media, *options]).output)

    # One network at a time.

    def networks(self) -> dict:
        """For each network and runtime, a list of what each start measured."""
        runtimes = [f"palmd {simd}" for simd in self.simd] + ["xnnpack", "onnxruntime", "tract"]
        self.done, self.total = 0, self.arguments.rounds * len(NETWORKS)
        results = {name: {runtime: [] for runtime in runtimes} for name in NETWORKS}
        for round_ in range(self.arguments.rounds):
            for name in NETWORKS:
                started = {runtime: self.start_network(name, runtime) for runtime in turn(runtimes, round_)}
                take_turns(started.values())
                found = {runtime: network_costs(json.loads(program.output)) for runtime, program in started.items()}
                for runtime, costs in found.items():
                    results[name][runtime].append(costs)
                self.step(name, {runtime: found[runtime]["run_ms"] for runtime in runtimes})
        return results

    def start_network(self, name: str, runtime: str) -> Program:
        model = self.arguments.models / f"{name}.onnx"
        # tract is so much slower that a part of the runs does.
        runs = max(1, self.arguments.runs // 4) if runtime == "tract" else self.arguments.runs
        counts = ["--runs", runs, "--warm-up", 5]
        if runtime in ("xnnpack", "onnxruntime"):
            return self.start([self.python, PEER, runtime, model, *counts])
        engine, _, simd = runtime.partition(" ")
        return self.start([self.arguments.network, model, "--engine", engine, *counts], simd)

    # The whole way from a frame to its poses.

    def pipelines(self) -> dict:
        """For each clip, situation, model and program, a list of what each start measured."""
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            return self.follow_hands(self.clips(Path(folder)))

    def follow_hands(self, clips: dict[str, dict[int, Path]]) -> dict:
        programs = [f"palmd {simd}" for simd in self.simd if simd != "portable"] + ["mediapipe"]
        cases = [
            (kind, in_view, allowed, model)
            for kind in clips
            for in_view, allowed in SITUATIONS
            for model in ("lite", "full")
        ]
        self.done, self.total = 0, self.arguments.rounds * len(cases)
        results = {case: {program: [] for program in programs} for case in cases}
        for round_ in range(self.arguments.rounds):
            for case in cases:
                kind, in_view, allowed, model = case
                found = self.pipeline(clips[kind][in_view], turn(programs, round_), allowed, model)
                for program, costs in found.items():
                    results[case][program].append(costs)
                what = f"{model}, {kind}, {in_view} of {allowed} hands"
                self.step(what, {program: found[program]["frame_ms"] for program in programs})
        return {" ".join(map(str, case)): found for case, found in results.items()}

    def pipeline(self, clip: Path, programs: list[str], hands: int, model: str) -> dict[str, dict]:
        whole, beginning = (clip.with_name(f"{clip.name}-{count}.y4m") for count in (FRAMES, WARM_UP_FRAMES))
        full = ["--full"] if model == "full" else []
        started = {}
        for program in programs:
            name, _, simd = program.partition(" ")
            if name == "mediapipe":
                options = ["--warm-up", WARM_UP_FRAMES, "--hands", hands, *full]
                started[program] = [self.start([self.python, PEER, "mediapipe", whole, *options])]
            else:
                pose = [self.arguments.palmd, "pose", "--hands", hands, "--model", model, "--source"]
                started[program] = [self.start([*pose, source], simd) for source in (whole, beginning)]
        take_turns(itertools.chain(*started.values()))
        return {program: (mediapipe_costs if len(of) == 1 else pose_costs)(*of) for program, of in started.items()}

    def clips(self, folder: Path) -> dict[str, dict[int, Path]]:
        """For each kind of clip and number of hands in view its files, without `-LENGTH.y4m`."""
        say("making the clips (700 MB)")
        counts = ["--frames", WARM_UP_FRAMES, FRAMES]
        clips: dict[str, dict[int, Path]] = {"drawn": {}}
        for hands, scripts in DRAWN.items():
            clip = clips["drawn"][hands] = folder / f"drawn-{hands}"
            raw = [folder / f"part-{i}.rgb" for i in range(len(scripts))]
            for script, part in zip(scripts, raw):
                with part.open("wb") as file:
                    subprocess.run([self.arguments.synthetic, "rgb", script], stdout=file, check=True)
            width, height = scripts[0].split(";")[0].removeprefix("size ").split("x")
            self.peer("clip", clip, *raw, "--size", width, height, *counts)
        if self.arguments.media:
            clips["filmed"] = {}
            for hands, name in FILMED.items():
                film = self.arguments.media / "clips" / f"{name}.mjpeg"
                if not film.is_file():
                    fail(f"{film} is missing; name the folder of the clips with --media, or leave them out with --media ''")
                clip = clips["filmed"][hands] = folder / f"filmed-{hands}"
                self.peer("clip", clip, film, *counts)
        return clips


def turn(programs: list[str], round_: int) -> list[str]:
    """Every round begins with another one."""
    first = round_ % len(programs)
    return programs[first:] + programs[:first]


def supported_simd() -> list[str]:
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return [simd for simd, needed in SIMD.items() if needed <= flags]


def peers_python() -> Path:
    """An interpreter that has the peers' packages."""
    if given := os.environ.get("PALMD_PEERS_PYTHON"):
        if not Path(given).is_file():
            fail(f"PALMD_PEERS_PYTHON={given}: there is no such interpreter")
        return Path(given)
    venv = CACHE / "venv"
    python, stamp = venv / "bin" / "python", venv / "made-for"
    wanted = hashlib.sha256((REQUIREMENTS.read_text() + sys.version).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    say(f"installing the peers into {venv} (1.3 GB)")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", venv],
        [*pip, "-r", REQUIREMENTS],
        # MediaPipe asks for an OpenCV with windows, which needs libraries that a server lacks.
        [*pip, "--no-deps", "--force-reinstall", "opencv-python-headless==4.11.0.86"],
    ):
        done = subprocess.run(command, stdout=None if sys.stdout.isatty() else subprocess.DEVNULL)
        if done.returncode != 0:
            fail(
                f"the command failed: {' '.join(map(str, command))}\n"
                "  is PyPI reachable, and is this Python 3.11 or 3.12 with venv on x86-64?"
            )
    stamp.write_text(wanted)
    return python


def machine(bench: Bench) -> dict:
    """What the figures belong to, and nothing that is private."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(map(str.strip, line.partition(":")[::2]) for line in info)
    palmd = subprocess.run([bench.arguments.palmd, "--version"], capture_output=True, text=True, check=True)
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    family = "".join(f", family {fields[key]}" for key in ("cpu family",) if key in fields)
    return {
        "processor": fields.get("model name", platform.machine()) + family,
        "simd": bench.simd,
        "date": datetime.date.today().isoformat(),
        "versions": {
            "palmd": f"{palmd.stdout.split()[-1]} ({commit.stdout.strip() or 'no commit'})",
            "tract": locked_version("tract-onnx"),
        }
        | bench.peer("versions"),
        "rounds": bench.arguments.rounds,
        "runs": bench.arguments.runs,
        "frames": FRAMES - WARM_UP_FRAMES,
    }


def locked_version(package: str) -> str:
    """A crate's version from Cargo.lock."""
    lock = (ROOT / "Cargo.lock").read_text()
    return lock.partition(f'name = "{package}"\nversion = "')[2].partition('"')[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--palmd", type=Path, default=RELEASE / "palmd", help="the program")
    parser.add_argument("--network", type=Path, default=RELEASE / "examples/network", help="the example that runs one network")
    parser.add_argument("--synthetic", type=Path, default=RELEASE / "examples/synthetic", help="the example that draws hands")
    parser.add_argument("--models", type=Path, default=os.environ.get("PALMD_MODELS", ROOT / "models"), help="folder of the hand networks")
    parser.add_argument("--media", default=os.environ.get("PALMD_MEDIA"), help="folder of clips of real hands")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core to run on")
    parser.add_argument("--rounds", type=int, default=7, help="starts of each program")
    parser.add_argument("--runs", type=int, default=100, help="runs of a network in each start")
    parser.add_argument("--only", choices=PARTS, help="measure only this, and only print it")
    arguments = parser.parse_args()
    arguments.media = arguments.media and Path(arguments.media)
    if arguments.rounds < 1 or arguments.runs < 1:
        parser.error("--rounds and --runs must be at least 1")

    began = time.monotonic()
    CACHE.mkdir(exist_ok=True)
    bench = Bench(arguments)
    results = {"machine": machine(bench)}
    for part in PARTS:
        if arguments.only in (None, part):
            results[part] = getattr(bench, part)()
    (CACHE / "results.json").write_text(json.dumps(results, indent=1))
    print(report.tables(results))
    if not arguments.only:
        report.write(results, ROOT / "docs")
        say("docs/performance.md and docs/performance.svg are written")
    say(f"done in {(time.monotonic() - began) / 60:.0f} minutes")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        fail(f"{error.filename or 'input or output'}: {error.strerror or error}")
    except subprocess.CalledProcessError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted")
