"""docs/unsafe.md: that it lists every file with `unsafe` code, how often, and tests that are there."""

import re
import unittest
from pathlib import Path

from test_docs import functions

ROOT = Path(__file__).parents[2]
LIST = ROOT / "docs" / "unsafe.md"
COMMENT, QUOTE = r"//[^\n]*", r"""'"'"""
TEXT, RAW_TEXT = r'"(?:[^"\\]|\\[\s\S])*"', r'r(?P<fence>#*)"[\s\S]*?"(?P=fence)'
ROW = re.compile(r"^\| `(?P<file>[^`]+\.rs)` \| (?P<uses>\d+) \|.*\| (?P<tests>[^|]*) \|$", re.MULTILINE)


def uses(source: str) -> int:
    """How often `unsafe` stands in code: not in comments, nor in texts."""
    code = re.sub(rf"{COMMENT}|{RAW_TEXT}|{TEXT}|{QUOTE}", "", source)
    return len(re.findall(r"\bunsafe\b", code))


def in_sources() -> dict[str, int]:
    files = [*ROOT.glob("src/**/*.rs"), *ROOT.glob("kernels/src/**/*.rs")]
    counts = {str(f.relative_to(ROOT)): uses(f.read_text()) for f in files}
    return {name: count for name, count in counts.items() if count}


class Unsafe(unittest.TestCase):
    def setUp(self):
        self.rows = list(ROW.finditer(LIST.read_text()))

    def test_every_file_is_listed_with_how_often_and_no_other(self):
        listed = {row["file"]: int(row["uses"]) for row in self.rows}
        self.assertEqual(len(listed), len(self.rows), "a file is listed twice")
        self.assertEqual(in_sources(), listed)

    def test_the_tests_are_there(self):
        tests = functions()
        for row in self.rows:
            named = re.findall(r"`(\w+)`", row["tests"])
            self.assertTrue(named, f"{row['file']}: no test is named")
            self.assertLessEqual(set(named), tests, row["file"])

    def test_comments_and_texts_do_not_count(self):
        source = r"""unsafe { f() } // unsafe "
            /// unsafe
            let x = ("unsafe \" // unsafe", '"', r#"unsafe " unsafe"#, "unsafe \
                unsafe"); unsafe_op();
            unsafe fn g()"""
        self.assertEqual(uses(source), 2)


if __name__ == "__main__":
    unittest.main()
