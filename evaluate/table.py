"""A measured figure and what is asked of it."""

import collections
import dataclasses

# Sections in the order in which they are printed.
SECTIONS = {
    "shapes": "Held shapes",
    "movements": "Movements",
    "false": "False events in streams in which nobody means anything",
    "rendered": "End to end on rendered video",
}


@dataclasses.dataclass
class Row:
    section: str
    what: str
    value: float
    unit: str = "%"
    # Such as ">= 95"; empty where nothing is asked.
    asked: str = ""
    n: str = ""
    remark: str = ""

    def reached(self, value):
        sense, bound = self.asked.split()
        return value >= float(bound) if sense == ">=" else value <= float(bound)


@dataclasses.dataclass
class Figure:
    """The same row for each of several models."""

    row: Row
    values: list

    @property
    def verdict(self):
        """Whether what was asked is reached by all, by some or by none."""
        if not self.row.asked:
            return ""
        met = [self.row.reached(v) for v in self.values]
        return "yes" if all(met) else "partly" if any(met) else "no"

    def text(self):
        shown = lambda v: f"{v:.0f}" if self.row.unit == "ms" or abs(v) >= 99.95 else f"{v:.1f}" if self.row.unit == "%" else f"{v:.2f}"
        low, high = shown(min(self.values)), shown(max(self.values))
        value = low if low == high else f"{low} to {high}"
        return f"{value} {self.row.unit}".strip()


def figures(tables):
    """Joins the rows of several models; a row of the first that others lack stands for itself."""
    joined = collections.OrderedDict()
    for rows in tables:
        for row in rows:
            joined.setdefault((row.section, row.what), Figure(row, [])).values.append(row.value)
    return list(joined.values())


def shares(counts, total, most=4):
    """Such as `fist 12, wave 3`: the most frequent names in percent of `total`."""
    common = collections.Counter(counts).most_common(most)
    return ", ".join(f"{name} {100 * count / max(total, 1):.0f}" for name, count in common if count / max(total, 1) >= 0.005)
