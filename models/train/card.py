"""Write `docs/model-card.md` and its picture: what a classifier is, what it was trained on, and what it does with synthetic
windows that no training drew.

    python models/train/card.py [models/gestures.onnx] [--others SEED2.onnx ...] [--windows N]

The first file is the one that ships; others are the same training with other seeds. What it does with recorded people and
rendered video is in `docs/evaluation.md` (`make evaluate`), for these figures say little about that.
"""

import argparse
import json
import pathlib
from html import escape

import numpy as np
import onnxruntime

import generator
from labels import LABELS
from motion import RECIPES

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NONE = len(LABELS) - 1
# The seed of the windows that are judged; trainings draw from spawned seeds, so that none of them is this.
SEED = 1_000_003
# `enter` of the rules that ship.
SURE = 0.7


class Classifier:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.metadata = self.session.get_modelmeta().custom_metadata_map
        self.size = path.stat().st_size
        if json.loads(self.metadata["labels"]) != LABELS:
            raise SystemExit(f"{path}: its labels are not those of src/gesture/mod.rs; train it anew")

    def probabilities(self, windows):
        return np.concatenate([self.session.run(["probabilities"], {"poses": w[None]})[0] for w in windows])


def confusion(probabilities, label):
    """Row: what a window is, column: what it is called when one label is sure, `none` otherwise; in shares of the row."""
    called = np.where(probabilities[:, :NONE].max(1) > SURE, probabilities[:, :NONE].argmax(1), NONE)
    table = np.zeros((NONE + 1, NONE + 1))
    np.add.at(table, (label, called), 1)
    return table / table.sum(1, keepdims=True)


def alarms(probabilities, kind):
    """Of each kind of `none`: the share of windows that are called something, and what most of them are called."""
    rows = []
    for k, (name, of_none, _, _) in enumerate(RECIPES):
        mine = probabilities[kind == k]
        if name == "none" and len(mine):
            sure = mine[:, :NONE].max(1) > SURE
            called = np.bincount(mine[sure, :NONE].argmax(1), minlength=NONE)
            most = [f"{LABELS[i]} {100 * called[i] / len(mine):.1f}" for i in np.argsort(-called)[:3] if called[i]]
            rows.append((of_none, sure.mean(), ", ".join(most)))
    return rows


def share(values):
    """The mean over classifiers, and the range where there are several."""
    low, high = 100 * min(values), 100 * max(values)
    return f"{100 * np.mean(values):.1f}" + (f" ({low:.1f}–{high:.1f})" if len(values) > 1 else "")


def markdown(head, rows):
    rule = ["---"] + ["---:" if "%" in h else "---" for h in head[1:]]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [head, rule, *rows])


def picture(table):
    """The confusion matrix: darker is more, the diagonal is what should be."""
    left, top, cell = 96, 92, 26
    parts = []
    for i, name in enumerate(LABELS):
        y, x = top + i * cell, left + i * cell
        parts.append(f'<text x="{left - 6}" y="{y + 17}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<text transform="translate({x + 16} {top - 6}) rotate(-60)">{escape(name)}</text>')
        for j in range(len(LABELS)):
            value = table[i, j]
            hue = "26,127,90" if i == j else "160,60,60"
            x = left + j * cell
            parts.append(f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill="rgba({hue},{max(value**0.5, 0.04):.2f})"/>')
            if value >= 0.005:
                ink = "#fff" if value > 0.3 else "#000"
                parts.append(f'<text x="{x + cell / 2 - 0.5}" y="{y + 17}" text-anchor="middle" fill="{ink}">{100 * value:.0f}</text>')
    width, height = left + len(LABELS) * cell + 60, top + len(LABELS) * cell + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def card(classifiers, windows):
    poses, label, kind = windows
    results = [c.probabilities(poses) for c in classifiers]
    tables = [confusion(p, label) for p in results]
    first = classifiers[0]
    of_label = []
    for i, name in enumerate(LABELS[:NONE]):
        instead = tables[0][i].copy()
        instead[[i, NONE]] = 0
        other = [f"{LABELS[j]} {100 * instead[j]:.1f}" for j in np.argsort(-instead)[:3] if instead[j] >= 0.001]
        of_label.append([f"`{name}`", share([t[i, i] for t in tables]), share([t[i, :NONE].sum() - t[i, i] for t in tables]), ", ".join(other)])
    per_kind = [alarms(p, kind) for p in results]
    of_none = [[rows[0][0], share([r[1] for r in rows]), rows[0][2]] for rows in zip(*per_kind)]
    of_none.sort(key=lambda row: -float(row[1].split()[0]))
    seeds = ", ".join(c.metadata["seed"] for c in classifiers)
    text = (HERE / "card.md").read_text().format(
        version=first.metadata["version"],
        kilobytes=round(first.size / 1e3),
        trained_on=first.metadata["trained_on"],
        seed=first.metadata["seed"],
        seeds=seeds,
        windows=f"{len(label):,}",
        sure=SURE,
        labels=markdown(["label", "called so, %", "called another, %", "which"], of_label),
        kinds=markdown(["kind of `none`", "called something, %", "what"], of_none),
    )
    return text, picture(tables[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=pathlib.Path, default=HERE.parent / "gestures.onnx", help="the classifier that ships (default %(default)s)")
    parser.add_argument("--others", type=pathlib.Path, nargs="+", default=[], metavar="FILE", help="the same training with other seeds")
    parser.add_argument("--windows", type=int, default=20_000, help="that are judged (default %(default)s)")
    args = parser.parse_args()
    classifiers = [Classifier(path) for path in [args.model, *args.others]]
    text, svg = card(classifiers, generator.windows(SEED, args.windows))
    (ROOT / "docs" / "model-card.md").write_text(text)
    (ROOT / "docs" / "model-card.svg").write_text(svg)
    print("docs/model-card.md and docs/model-card.svg are written")


if __name__ == "__main__":
    main()
