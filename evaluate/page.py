"""The table as text, as docs/evaluation.md and as docs/evaluation.svg."""

from html import escape

from table import SECTIONS

COLOURS = {"yes": "#1a7f5a", "partly": "#c08a3e", "no": "#a03c3c"}

INTRODUCTION = """# How well gestures are recognised

Written by `make evaluate` ([how it measures](../evaluate/README.md)). Everything went through the program itself, with the
rules that ship: poses that other people recorded through `palmd classify`, films and rendered video through `palmd run` (where
several classifiers are measured, the video's poses through `palmd classify`). No training saw any of it, though some of it has steered
the generator of what they did see. *Asked* is what the project set itself; nothing is asked of rows without it. `n` counts pieces, intervals or minutes.
What started besides, or instead, is in percent of `n`, or a count where the row is a rate or of rendered video."""


def text(figures):
    """For a terminal."""
    lines = []
    for section, title in SECTIONS.items():
        mine = [f for f in figures if f.row.section == section]
        if mine:
            lines += ["", f"{title:56s} {'asked':>8s} {'reached':>16s}         {'n':>8s}  started besides or instead"]
        for f in mine:
            row = f.row
            lines.append(f"  {row.what:54s} {row.asked:>8s} {f.text():>16s} {f.verdict:7s} {row.n:>8s}  {row.remark}".rstrip())
    asked = [f for f in figures if f.row.asked]
    lines += ["", f"{sum(f.verdict == 'yes' for f in asked)} of {len(asked)} figures are as asked."]
    return "\n".join(lines)


def write(figures, models, docs):
    """The page and its picture."""
    (docs / "evaluation.md").write_text(page(figures, models))
    (docs / "evaluation.svg").write_text(svg(figures))


def page(figures, models):
    parts = [INTRODUCTION, f"Classifiers: {', '.join(f'`{m}`' for m in models)}.", "![Bars: what was reached of what was asked](evaluation.svg)"]
    for section, title in SECTIONS.items():
        rows = [f for f in figures if f.row.section == section]
        if rows:
            body = [[f.row.what, asked(f.row), reached(f), f.row.n, f.row.remark] for f in rows]
            parts += [f"## {title}", table(["", "asked", "reached", "n", "besides, or instead"], body)]
    return "\n\n".join(parts) + "\n"


def table(head, rows):
    """A Markdown table."""
    rule = ["---", "---:", "---:", "---:", "---"]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def asked(row):
    if not row.asked:
        return ""
    return f"{row.asked.replace('>=', '≥').replace('<=', '≤')} {row.unit}".strip()


def reached(figure):
    return f"**{figure.text()}**" if figure.verdict in ("no", "partly") else figure.text()


def svg(figures):
    """A bar for each figure of which something is asked: how far it is, and a mark at what was asked."""
    left, wide, bar, most = 330, 300, 17, {"%": 100.0}
    parts, y = [], 6
    for section, title in SECTIONS.items():
        rows = [f for f in figures if f.row.section == section and f.row.asked]
        if not rows:
            continue
        parts.append(f'<text x="{left}" y="{y + 14}" font-weight="bold">{escape(title)}</text>')
        y += 22
        for f in rows:
            bound = float(f.row.asked.split()[1])
            # Shares are drawn to 100 %; rates and delays, of which little is good, to three times what is asked.
            full = most.get(f.row.unit) or max(3 * bound, 1.0)
            at = lambda value: left + min(max(value, 0.0) / full, 1.0) * wide
            low, high = min(f.values), max(f.values)
            parts += [
                f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(f.row.what.replace("`", ""))}</text>',
                f'<rect x="{left}" y="{y + 2}" width="{at(low) - left:.1f}" height="12" fill="{COLOURS[f.verdict]}"/>',
                f'<path d="M{at(low):.1f} {y + 8}H{at(high):.1f}" stroke="#000"/>',
                f'<path d="M{at(bound):.1f} {y}V{y + 16}" stroke="#000" stroke-width="2"/>',
                f'<text x="{left + wide + 8}" y="{y + 12}">{escape(f.text())} ({escape(asked(f.row))})</text>',
            ]
            y += bar
        y += 8
    width = left + wide + 190
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{width}" height="{y}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
