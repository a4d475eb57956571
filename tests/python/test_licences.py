"""What a package says about the crates that palmd is linked with."""

import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Licences(unittest.TestCase):
    def test_every_crate_may_be_passed_on(self):
        rustc = subprocess.run(["rustc", "-vV"], stdout=subprocess.PIPE, text=True, check=True)
        target = re.search("^host: (.*)$", rustc.stdout, re.MULTILINE)[1]
        program = ROOT / "packaging/licences.py"
        done = subprocess.run([program, target], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\ntriple_buffer \S+: MPL-2.0 .*, https://\S+\n")


if __name__ == "__main__":
    unittest.main()
