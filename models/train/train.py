"""Train the gesture classifier on synthetic windows and write `models/gestures.onnx`.

    python models/train/train.py [--windows N] [--epochs N] [--seed N] [--threads N] [-o FILE]
    python models/train/train.py --start models/gestures.pt --rate 5e-4 --epochs 2 --takes FILE... -o mine.onnx

The second one trains on from an earlier training, with takes of one's own people (`palmd record`) among the windows. What ships saw
no takes.

Every epoch sees fresh windows, as they are and mirrored; a second process generates the next epoch's while this one
trains.
"""

import argparse
import concurrent.futures
import multiprocessing
import pathlib
import signal
import sys
import time

import numpy as np
import torch
from torch import nn

import generator
import network
from labels import LABELS
from motion import KINDS
from takes import Takes, TakesError

VERSION = "4"
HERE = pathlib.Path(__file__).resolve().parent
BATCH = 256
# So often an epoch's windows are trained on, each time in another order: generating them takes longer.
PASSES = 2
PEAK_RATE = 2e-3
KIND_SHARE = 0.3
# Of an epoch's windows, where there are takes.
TAKES_SHARE = 0.2
# The kind of a window that no recipe drew.
NO_KIND = -1
SMOOTHING = 0.02


# What a label becomes when the picture is mirrored.
OPPOSITE = {"swipe-left": "swipe-right", "circle-cw": "circle-ccw"}
OPPOSITE |= {b: a for a, b in OPPOSITE.items()}
MIRRORED = torch.tensor([LABELS.index(OPPOSITE.get(l, l)) for l in LABELS])
MIRRORED_KIND = torch.tensor([KINDS.index(OPPOSITE.get(k, k)) for k in KINDS] + [NO_KIND])


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--windows", type=int, default=40_000, help="windows an epoch (default %(default)s)")
    p.add_argument("--epochs", type=int, default=13, help="epochs (default %(default)s)")
    p.add_argument("--seed", type=int, default=2, help="seed of generator and weights (default %(default)s)")
    p.add_argument("--threads", type=int, default=1, help="threads that train; one more process generates (default %(default)s)")
    p.add_argument("--start", type=pathlib.Path, metavar="FILE", help="weights to begin with (.pt of an earlier training)")
    p.add_argument("--rate", type=float, default=PEAK_RATE, help="highest learning rate (default %(default)s)")
    p.add_argument("--takes", type=pathlib.Path, nargs="+", default=[], metavar="FILE", help="takes that `palmd record` wrote, to train on as well")
    p.add_argument("-o", "--output", type=pathlib.Path, default=HERE.parent / "gestures.onnx")
    return p.parse_args()


def main():
    args = arguments()
    # Without this a terminated training leaves its generator behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        takes = Takes(args.takes) if args.takes else None
    except TakesError as error:
        sys.exit(str(error))
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    began = time.time()
    net = network.Network(len(LABELS), len(KINDS))
    if args.start:
        weights = torch.load(args.start, weights_only=True)
        net.load_state_dict({name: w for name, w in weights.items() if not name.startswith("kinds")}, strict=False)
    shipped = sum(p.numel() for name, p in net.named_parameters() if not name.startswith("kinds"))
    print(f"{shipped} parameters, {args.epochs} epochs of {args.windows} windows, seed {args.seed}", flush=True)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.02)
    steps_a_pass = 2 * args.windows // BATCH
    steps = args.epochs * PASSES * steps_a_pass
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, total_steps=steps, pct_start=0.15)
    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    loss_of_kind = nn.CrossEntropyLoss(ignore_index=NO_KIND)

    # Seeds: the checking windows, then one for each epoch.
    seeds = np.random.SeedSequence(args.seed).spawn(args.epochs + 1)
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as aside:
        checking = aside.submit(generator.windows, seeds[0], 10_000)
        coming = aside.submit(generator.windows, seeds[1], args.windows)
        checking = checking.result()
        for epoch in range(args.epochs):
            poses, label, kind = coming.result()
            if takes:
                some = int(TAKES_SHARE * args.windows)
                poses[:some], label[:some] = takes.windows(np.random.default_rng([args.seed, epoch]), some)
                kind[:some] = NO_KIND
            if epoch + 1 < args.epochs:
                coming = aside.submit(generator.windows, seeds[epoch + 2], args.windows)
            poses, label, kind = torch.from_numpy(poses), torch.from_numpy(label), torch.from_numpy(kind)
            net.train()
            total = 0.0
            order = np.random.default_rng(epoch)
            order = np.concatenate([order.permutation(2 * args.windows)[: steps_a_pass * BATCH] for _ in range(PASSES)])
            for step in range(PASSES * steps_a_pass):
                batch = order[step * BATCH : (step + 1) * BATCH]
                mirror = torch.from_numpy(batch >= args.windows)
                batch = torch.from_numpy(batch % args.windows)
                x, y, k = poses[batch], label[batch], kind[batch]
                x[mirror, ..., 0] = 1 - x[mirror, ..., 0]
                y, k = torch.where(mirror, MIRRORED[y], y), torch.where(mirror, MIRRORED_KIND[k], k)
                logits, kinds = net(x)
                loss = loss_of(logits, y) + KIND_SHARE * loss_of_kind(kinds, k)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 2.0)
                optimiser.step()
                schedule.step()
                total += loss.item()
            accuracy = check(net, checking)[0]
            spent = time.time() - began
            left = spent / (epoch + 1) * (args.epochs - epoch - 1)
            print(f"epoch {epoch + 1}/{args.epochs}  loss {total / (step + 1):.3f}  synthetic accuracy {accuracy:.3f}  {spent / 60:.1f} min, {left / 60:.1f} left", flush=True)

    report(net, checking)
    net.eval()
    metadata = {
        "version": VERSION,
        "seed": str(args.seed),
        "trained_on": f"{args.epochs * args.windows:,} synthetic windows (and their mirror images) of models/train/generator.py"
        + (f", among them {len(takes.takes)} recorded takes" if takes else ""),
    }
    network.export(net, args.output, LABELS, metadata)
    # For training on from here.
    torch.save(net.state_dict(), args.output.with_suffix(".pt"))
    agree(net, args.output, checking[0][:200])
    print(f"{args.output}: {args.output.stat().st_size / 1e3:.0f} kB, {(time.time() - began) / 60:.1f} min")


def check(net, windows):
    poses, label, _ = windows
    net.eval()
    with torch.no_grad():
        probabilities = np.concatenate([torch.softmax(net(torch.from_numpy(p))[0], 1).numpy() for p in np.array_split(poses, 40)])
    return (probabilities.argmax(1) == label).mean(), probabilities


def report(net, windows):
    """What the network does with windows it has not seen: recall of each label, false alarms of each `none`."""
    _, label, kind = windows
    _, probabilities = check(net, windows)
    sure = np.where(probabilities.max(1) > 0.7, probabilities.argmax(1), len(LABELS) - 1)
    for k, name in enumerate(KINDS):
        mine = kind == k
        if not mine.any():
            continue
        wanted = label[mine][0]
        found = np.bincount(sure[mine], minlength=len(LABELS)) / mine.sum()
        others = [f"{LABELS[i]} {100 * found[i]:.0f}" for i in np.argsort(-found) if i != wanted and found[i] >= 0.01]
        print(f"  {name:22s} {100 * found[wanted]:5.1f} %  {'none' if wanted == len(LABELS) - 1 else ''}  {', '.join(others[:5])}")


def agree(net, path, poses):
    """The file must say what the network says, and survive a window without a hand."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        wanted = torch.softmax(net(torch.from_numpy(poses))[0], 1).numpy()
    got = np.concatenate([session.run(["probabilities"], {"poses": p[None]})[0] for p in poses])
    far = float(np.abs(wanted - got).max())
    nothing = session.run(None, {"poses": np.zeros((1, 30, 21, 3), np.float32)})
    if far > 1e-3 or not all(np.isfinite(a).all() for a in nothing):
        sys.exit(f"{path}: the exported file differs from the network by {far:.2g} or is not finite on 21 equal points")
    print(f"exported file agrees with the network to {far:.1g}")


if __name__ == "__main__":
    main()
