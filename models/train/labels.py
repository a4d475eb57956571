"""The labels in the order of the classifier's outputs: the same as in `src/gesture/mod.rs`."""

import pathlib
import re

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src" / "gesture" / "mod.rs"


def read(source=SOURCE):
    found = re.search(r"pub const LABELS: \[&str; (\d+)\] = \[(.*?)\];", source.read_text(), re.S)
    if not found:
        raise SystemExit(f"{source}: no `pub const LABELS` found; the classifier's labels are read from there")
    labels = re.findall(r'"([^"]+)"', found[2])
    if len(labels) != int(found[1]) or labels[-1] != "none":
        raise SystemExit(f"{source}: LABELS should hold {found[1]} names, `none` last")
    return labels


LABELS = read()
