"""The page that `make bench-peers` writes."""

import sys
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).parents[2] / "benches" / "peers"))
sys.dont_write_bytecode = True

import report  # noqa: E402


def starts(*ms: float) -> list[dict]:
    return [{"run_ms": t, "load_ms": 10 * t, "frame_ms": t, "hands": 1.0} for t in ms]


def results(palmd: list[dict], peer: list[dict]) -> dict:
    situations = ("1 1 lite", "1 2 lite", "2 2 lite")
    return {
        "machine": {
            "processor": "P",
            "simd": ["avx2"],
            "date": "2026-01-31",
            "versions": {},
            "rounds": 3,
            "runs": 1,
            "frames": 1,
        },
        "networks": {"n": {"palmd avx2": palmd, "xnnpack": peer}},
        "pipelines": {f"drawn {case}": {"palmd avx2": palmd, "mediapipe": peer} for case in situations},
        "outputs": {"n": {"palmd avx2": {"random": 2e-6}, "xnnpack": {"random": 1e-6}}},
    }


class Report(unittest.TestCase):
    def test_ratios_are_those_of_one_round(self):
        # The machine is ten times slower in the second round; a ratio of medians would be 0.5.
        tables = report.tables(results(starts(1, 16, 2.4), starts(2, 20, 3)))
        self.assertIn("| `n` | **0.80** (0.50–0.80), 2.40 ms | 1, 3.00 ms |", tables)

    def test_text_outside_the_marks_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            docs = Path(folder)
            page = docs / "performance.md"
            page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
            for palmd in (5.0, 1.0):
                report.write(results(starts(palmd), starts(2)), docs)
            text = page.read_text()
            self.assertTrue(text.startswith(f"before\n{report.BEGIN}") and text.endswith(f"{report.END}\nafter\n"))
            self.assertNotIn("old", text)
            self.assertNotIn("2.50", text)
            self.assertIn("0.50", text)
            ElementTree.parse(docs / "performance.svg")

    def test_a_page_without_marks_is_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "performance.md"
            page.write_text("mine")
            with self.assertRaises(OSError):
                report.write(results(starts(1), starts(1)), page.parent)
            self.assertEqual(page.read_text(), "mine")


if __name__ == "__main__":
    unittest.main()
