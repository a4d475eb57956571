"""Measure the pose pipeline's own errors on the synthetic hand and write `noise.json`, which `camera.py` reads.

    python models/train/noise.py --palmd target/release/palmd --synthetic target/release/examples/synthetic [--scripts N]

Random scripts (persons, light, distance, all shapes and movements) are rendered; `palmd pose` estimates the poses,
the example `synthetic` knows them. Errors are taken in the hand's own frame (along and across the palm in the
picture, and depth), in hand lengths, and split into what stays for a script's stretch (bias) and what comes and goes
(jitter); both keep their covariance over the joints as a few components.
"""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
RATE_HZ = 15
STRETCH = 15
COMPONENTS = 10
SHAPES = [
    "open-palm", "fist", "point-up", "thumb-up", "thumb-down", "victory", "ok", "i-love-you",
    "relaxed", "three", "four", "rock", "call", "gun", "flat", "claw",
]  # fmt: skip
MOVEMENTS = ["swipe-left", "swipe-right", "swipe-up", "swipe-down", "wave 1.4s", "push", "circle-cw", "circle-ccw", "pinch", "spread"]


def random_script(rng):
    """Some twenty seconds of one person in one room."""
    lines = [
        f"size 640x480; fps {RATE_HZ * 2}; seed {rng.integers(1, 10_000)}; fov {rng.uniform(50, 80):.0f}deg",
        f"hand {rng.choice(['left', 'right'])}; hand-size {rng.uniform(0.8, 1.15):.2f}; skin {rng.integers(1, 7)}",
        f"distance {np.exp(rng.uniform(np.log(0.35), np.log(1.4))):.2f}m; at {rng.uniform(0.35, 0.65):.2f} {rng.uniform(0.4, 0.6):.2f}",
        f"light {rng.uniform(0.4, 1.2):.2f}; background {rng.integers(0, 6)}; noise {rng.uniform(0, 0.05):.3f}",
    ]
    for _ in range(5):
        lines.append(f"{rng.choice(SHAPES)} {rng.uniform(0.8, 1.5):.1f}s; wait 0.3s; {rng.choice(MOVEMENTS)}; wait 0.5s")
    return "\n".join(lines)


def read(text):
    """Time -> (track, pose 21x3 in frame widths) of lines as `palmd pose` and the example write them."""
    poses = {}
    for line in map(json.loads, text.splitlines()):
        hands = line["hands"]
        if hands:
            pose = np.array(hands[0]["landmarks"])
            pose[:, 1] *= line["size"][1] / line["size"][0]
            poses[line["seq"]] = (hands[0]["track"], hands[0]["hand"], pose)
    return poses


def run(programs, script, folder):
    path = pathlib.Path(folder) / f"{abs(hash(script))}.txt"
    path.write_text(script)
    out = lambda *command: subprocess.run(command, check=True, capture_output=True, text=True).stdout
    exact = read(out(programs.synthetic, "poses", str(path)))
    models = ["--models", programs.models] if programs.models else []
    return exact, read(out(programs.palmd, "pose", *models, "--source", f"synthetic:{path}"))


def own_frame(error, exact, left):
    """Errors (t, 21, 3) turned so that y runs from the wrist to the middle knuckle, in hand lengths; a left hand mirrored."""
    palm = np.linalg.norm(exact[:, 9, :2] - exact[:, 0, :2], axis=-1)
    across = np.linalg.norm(exact[:, 5, :2] - exact[:, 17, :2], axis=-1)
    size = np.maximum(palm, 1.4 * across) * 1.9
    up = (exact[:, 9, :2] - exact[:, 0, :2]) / np.maximum(palm, 1e-6)[:, None]
    right = np.stack([-up[:, 1], up[:, 0]], -1) * (-1 if left else 1)
    turned = np.stack([(error[..., :2] * right[:, None]).sum(-1), (error[..., :2] * up[:, None]).sum(-1), error[..., 2]], -1)
    return turned / size[:, None, None], size


def components(rows):
    """The few directions that carry most of the (already centred) rows: (COMPONENTS, 63) scaled by their deviation."""
    _, scale, axes = np.linalg.svd(rows, full_matrices=False)
    kept = axes[:COMPONENTS] * (scale[:COMPONENTS, None] / np.sqrt(len(rows)))
    rest = np.sqrt(np.maximum((rows**2).mean(0) - (kept**2).sum(0), 0))
    return kept, rest


def measure(recordings):
    biases, jitters, gains, memories = [], [], [], []
    seen = missed = breaks = 0
    gaps = []
    for exact, found in recordings:
        frames = sorted(exact)
        held = [f in found for f in frames]
        first = held.index(True) if True in held else len(held)
        held = held[first:]
        seen += len(held)
        missed += held.count(False)
        runs = "".join("x" if h else "." for h in held).split("x")
        gaps += [len(r) for r in runs if r]
        tracks = [found[f][0] for f in frames if f in found]
        breaks += sum(a != b for a, b in zip(tracks, tracks[1:]))
        # The classifier's own rate: every second frame; stretches without a gap.
        common = [f for f in frames if f % 2 == 0]
        stretch = []
        for f in common + [None]:
            if f is not None and f in found and (not stretch or f == stretch[-1] + 2):
                stretch.append(f)
            else:
                stretch = [f] if f is not None and f in found else []
            if len(stretch) < STRETCH:
                continue
            truth = np.stack([exact[k][2] for k in stretch])
            guess = np.stack([found[k][2] for k in stretch])
            stretch = []
            z, guessed = truth[..., 2] - truth[:, :1, 2], guess[..., 2] - guess[:, :1, 2]
            gain = float((z * guessed).sum() / max((z * z).sum(), 1e-9))
            gains.append(gain)
            wrong = guess - truth
            wrong[..., 2] = guessed - np.clip(gain, 0, 2) * z
            error, size = own_frame(wrong, truth, exact[common[0]][1] == "left")
            # A hand that was lost in a stretch is an outlier of its own, not noise.
            if np.abs(error[..., :2]).mean() > 0.25:
                continue
            bias = error.mean(0)
            jitter = error - bias
            speed = np.linalg.norm(np.diff(truth[:, 9, :2], axis=0), axis=-1) / size[1:] * RATE_HZ
            memory = (jitter[1:, :, :2] * jitter[:-1, :, :2]).sum() / max((jitter[..., :2] ** 2).sum(), 1e-12)
            biases.append(bias.ravel())
            memories.append(memory)
            jitters.append((jitter.reshape(len(jitter), -1), size.mean(), np.concatenate([speed[:1], speed])))
    return biases, jitters, gains, memories, (seen, missed, gaps, breaks)


def summarise(biases, jitters, gains, memories, losses):
    seen, missed, gaps, breaks = losses
    biases = np.array(biases)
    mean = biases.mean(0)
    bias_kept, bias_rest = components(biases - mean)
    rows = np.concatenate([j for j, _, _ in jitters])
    level = np.array([np.sqrt((j[:, : 63].reshape(-1, 21, 3)[..., :2] ** 2).mean()) for j, _, _ in jitters])
    size = np.array([s for _, s, _ in jitters])
    speed = np.array([v.mean() for _, _, v in jitters])
    # log level = a + b log(size) + c speed: what distance and motion do to the jitter.
    design = np.stack([np.ones(len(level)), np.log(size), np.minimum(speed, 4)], 1)
    fit, *_ = np.linalg.lstsq(design, np.log(np.maximum(level, 1e-5)), rcond=None)
    spread = np.std(np.log(np.maximum(level, 1e-5)) - design @ fit)
    # Components of unit level: each stretch counts alike.
    unit = np.concatenate([j / max(l, 1e-5) for (j, _, _), l in zip(jitters, level)])
    kept, rest = components(unit)
    gains = np.array(gains)
    table = lambda a: np.round(np.asarray(a, float), 5).tolist()
    return {
        "bias_mean": table(mean), "bias_components": table(bias_kept), "bias_rest": table(bias_rest),
        "jitter_components": table(kept), "jitter_rest": table(rest),
        "jitter_level": {"intercept": round(float(fit[0]), 4), "log_size": round(float(fit[1]), 4), "speed": round(float(fit[2]), 4), "spread": round(float(spread), 4)},
        "jitter_memory": [round(float(np.percentile(memories, q)), 3) for q in (10, 50, 90)],
        "depth_gain": [round(float(np.percentile(gains, q)), 3) for q in (10, 50, 90)],
        "missed_share": round(missed / max(seen, 1), 5),
        "gap_frames": [int(np.percentile(gaps, q)) for q in (50, 90)] if gaps else [0, 0],
        "track_breaks_per_minute": round(breaks / max(seen / (2 * RATE_HZ * 60), 1e-9), 3),
        "stretches": len(biases), "frames": int(seen),
        "about": {"bias_rms_xy": round(float(np.sqrt((biases.reshape(-1, 21, 3)[..., :2] ** 2).mean())), 4), "jitter_rms_xy": round(float(np.sqrt((rows.reshape(-1, 21, 3)[..., :2] ** 2).mean())), 4)},
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--palmd", required=True)
    parser.add_argument("--synthetic", required=True)
    parser.add_argument("--models", help="folder of the models (default: as palmd looks for them)")
    parser.add_argument("--scripts", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=pathlib.Path, default=HERE / "noise.json")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    scripts = [random_script(rng) for _ in range(args.scripts)]
    recordings = []
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(1) as pool:
        for i, recording in enumerate(pool.map(lambda s: run(args, s, folder), scripts)):
            recordings.append(recording)
            print(f"script {i + 1}/{len(scripts)}: {len(recording[0])} frames, {len(recording[1])} poses", flush=True)
    found = summarise(*measure(recordings))
    args.output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({k: v for k, v in found.items() if not k.startswith(("bias_", "jitter_c", "jitter_r"))}, indent=1))


if __name__ == "__main__":
    main()
