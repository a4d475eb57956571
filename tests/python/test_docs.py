"""The pages that name tests as evidence: that the tests are there."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("docs/security.md", "docs/release.md")


def functions() -> set[str]:
    """The names of all functions, and so of all tests."""
    sources = [f for folder in ("src", "kernels", "tests") for f in (ROOT / folder).glob("**/*.rs")]
    return set(re.findall(r"\bfn (\w+)\(", "\n".join(f.read_text() for f in sources)))


class Docs(unittest.TestCase):
    def test_the_tests_that_are_named_are_there(self):
        there = functions()
        for page in PAGES:
            # Names of tests are sentences.
            named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})`", (ROOT / page).read_text()))
            self.assertTrue(named, page)
            self.assertEqual(named - there, set(), page)


if __name__ == "__main__":
    unittest.main()
