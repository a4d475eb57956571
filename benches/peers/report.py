"""Turns what was measured into docs/performance.md and docs/performance.svg."""

from __future__ import annotations

from html import escape
from pathlib import Path
from statistics import median

BEGIN = "<!-- measured: written by `make bench-peers` -->"
END = "<!-- measured: end -->"

NAMES = {
    "palmd avx512": "palmd, AVX-512",
    "palmd avx2": "palmd, AVX2",
    "palmd neon": "palmd, NEON",
    "palmd portable": "palmd, portable",
    "xnnpack": "TFLite / XNNPACK",
    "onnxruntime": "onnxruntime",
    "tract": "tract as it is",
    "mediapipe": "MediaPipe Python",
}
COLOURS = {"palmd": "#1a7f5a", "xnnpack": "#8a8a8a", "mediapipe": "#8a8a8a", "onnxruntime": "#c08a3e", "tract": "#a05a5a"}


class Figures:
    """The figures of all starts of one program, in the order of the rounds."""

    def __init__(self, starts: list[dict], peers: list[dict], key: str):
        self.ms = median(start[key] for start in starts)
        ratios = [start[key] / peer[key] for start, peer in zip(starts, peers, strict=True)]
        self.low, self.ratio, self.high = min(ratios), median(ratios), max(ratios)

    def range(self) -> str:
        return f"**{self.ratio:.2f}** ({self.low:.2f}–{self.high:.2f})"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column holds names, the others numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def programs(rows: dict[str, dict]) -> list[str]:
    """The programs that each row has."""
    return list(next(iter(rows.values())))


def ratios(head: str, rows: dict[str, dict], peer: str, key: str) -> str:
    """A table of ratios and times: a row for each name, a column for each program."""

    def cell(of: dict, program: str) -> str:
        figures = Figures(of[program], of[peer], key)
        return f"{'1' if program == peer else figures.range()}, {figures.ms:.2f} ms"

    columns = programs(rows)
    body = [[name, *(cell(of, program) for program in columns)] for name, of in rows.items()]
    return table([head, *(NAMES[program] for program in columns)], body)


def load_table(networks: dict) -> str:
    rows = []
    columns = programs(networks)
    for network, of in networks.items():
        load = [f"{median(start['load_ms'] for start in of[program]):.0f} ms" for program in columns]
        calls = [of[program][0].get("allocator_calls") for program in columns]
        rows.append([f"`{network}`", *(f"{ms}, {n:.0f}" if n is not None else ms for ms, n in zip(load, calls))])
    return table(["network", *(NAMES[program] for program in columns)], rows)


def situation(case: str) -> str:
    kind, in_view, allowed, model = case.split()
    hands = {"0": "no hand", "1": "one hand", "2": "two hands"}
    return f"{model}, {kind}, {hands[in_view]} in view, {hands[allowed]} allowed"


def hands_table(pipelines: dict) -> str:
    """What a second hand costs, and being ready for one."""
    rows = []
    for case, of in pipelines.items():
        kind, in_view, allowed, model = case.split()
        if (in_view, allowed) != ("1", "1"):
            continue
        for program, one in of.items():
            two, ready = (Figures(pipelines[f"{kind} {n} 2 {model}"][program], one, "frame_ms") for n in ("2", "1"))
            rows.append([f"{model}, {kind}; {NAMES[program]}", two.range(), ready.range()])
    return table(["", "two hands in view, to one", "one hand in view, two allowed, to one allowed"], rows)


def found_table(pipelines: dict) -> str:
    """How many hands the programs found, so that nobody is fast by being blind."""
    columns = programs(pipelines)
    rows = [
        [situation(case), *(f"{median(start['hands'] for start in of[program]):.2f}" for program in columns)]
        for case, of in pipelines.items()
    ]
    return table(["", *(NAMES[program] for program in columns)], rows)


def outputs_table(outputs: dict) -> str:
    columns = programs(outputs)
    kinds = list(outputs[next(iter(outputs))][columns[0]])
    rows = [
        [f"`{network}`, {kind}", *(f"{of[program][kind]:.0e}" for program in columns)]
        for network, of in outputs.items()
        for kind in kinds
    ]
    return table(["network, inputs", *(NAMES[program] for program in columns)], rows)


def machine_text(machine: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    simd = ", ".join(NAMES[f"palmd {simd}"].removeprefix("palmd, ") for simd in machine["simd"])
    return (
        f"Measured on {machine['date']} on one core of: {machine['processor']} (palmd has kernels for its {simd}). "
        f"Versions: {versions}. Medians of {machine['rounds']} starts, each of {machine['runs']} runs of a network or "
        f"{machine['frames']} frames of a clip; in brackets the smallest and the largest ratio of a round."
    )


def tables(results: dict) -> str:
    parts = [machine_text(results["machine"])]
    if networks := results.get("networks"):
        named = {f"`{network}`": of for network, of in networks.items()}
        parts += ["### One run of one network, ratio to XNNPACK", ratios("network", named, "xnnpack", "run_ms")]
        parts += ["### CPU time to load a network, and allocator calls a run where they are counted", load_table(networks)]
    if pipelines := results.get("pipelines"):
        named = {situation(case): of for case, of in pipelines.items()}
        parts += ["### A whole frame, ratio to MediaPipe", ratios("", named, "mediapipe", "frame_ms")]
        parts += ["### More than one hand", hands_table(pipelines)]
        parts += ["### Hands found a frame", found_table(pipelines)]
    if outputs := results.get("outputs"):
        parts += ["### Largest difference from TFLite's plain kernels, as a share of the output's range", outputs_table(outputs)]
    return "\n\n".join(parts)


def write(results: dict, docs: Path):
    """Replaces what stands between the marks of docs/performance.md, and the chart."""
    page = docs / "performance.md"
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise OSError(0, f"the marks {BEGIN!r} and {END!r} are not both there", page)
    chart = "![Bars: CPU time of each runtime as a ratio](performance.svg)"
    page.write_text(f"{before}{BEGIN}\n\n{chart}\n\n{tables(results)}\n\n{END}{after}")
    (docs / "performance.svg").write_text(svg(results))


def svg(results: dict) -> str:
    """Horizontal bars: ratios to XNNPACK, network by network, and to MediaPipe, situation by situation."""
    pipelines = results["pipelines"]
    kind = list(pipelines)[-1].split()[0]
    groups = [(f"{network}: ratio to XNNPACK", of, "xnnpack", "run_ms") for network, of in results["networks"].items()]
    groups += [
        (f"whole frame, {situation(case)}: ratio to MediaPipe", of, "mediapipe", "frame_ms")
        for case, of in pipelines.items()
        if case.startswith(kind)
    ]
    left, unit, most, bar = 130, 260, 2.2, 18
    parts, y = [], 6
    for title, of, peer, key in groups:
        parts.append(f'<text x="{left}" y="{y + 14}" font-weight="bold">{escape(title)}</text>')
        top = y = y + 22
        for program, starts in of.items():
            figures = Figures(starts, of[peer], key)
            low, ratio, high = (left + min(f, most) * unit for f in (figures.low, figures.ratio, figures.high))
            label = f"{figures.ratio:.2f} ({figures.ms:.2f} ms)"
            parts += [
                f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(NAMES[program])}</text>',
                f'<rect x="{left}" y="{y + 2}" width="{ratio - left:.1f}" height="12" fill="{COLOURS[program.split()[0]]}"/>',
                f'<path d="M{low:.1f} {y + 8}H{high:.1f}" stroke="#000"/>',
                f'<text x="{high + 6:.1f}" y="{y + 12}">{"… " if figures.high > most else ""}{label}</text>',
            ]
            y += bar
        parts.append(f'<path d="M{left + unit} {top}V{y}" stroke="#000" stroke-dasharray="2 3"/>')
        y += 8
    width = left + round(most * unit) + 130
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{width}" height="{y}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
