#!/usr/bin/env python3
"""Writes the licences of the crates that palmd is linked with for a target: packaging/licences.py TARGET

A crate under a licence that is not known to be harmless to pass on ends it with an error.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

# These ask at most for their text to be passed on, for where the unchanged source is (MPL-2.0), which this
# file does, and for a sentence in the documentation (IJG), which stands in NOTICE.
HARMLESS = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "IJG", "ISC", "MIT", "MIT-0",
    "MPL-2.0", "Unicode-3.0", "Unicode-DFS-2016", "Unlicense", "Zlib",
}
TEXT = re.compile(r"(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)


def fail(message: str):
    sys.exit(f"licences: {message}")


def linked(target: str) -> list[dict]:
    """The packages that are linked into the program, by name: no tests, no build scripts, no macros."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail("cargo metadata failed; the reason stands above")
    graph = json.loads(done.stdout)
    packages = {package["id"]: package for package in graph["packages"]}
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    root = graph["resolve"]["root"]
    found, open_ = set(), [root]
    while open_:
        here = open_.pop()
        for dependency in nodes[here]["deps"]:
            there = dependency["pkg"]
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            macro = any("proc-macro" in kind["kind"] for kind in packages[there]["targets"])
            if normal and not macro and there not in found:
                found.add(there)
                open_.append(there)
    return sorted((packages[i] for i in found), key=lambda package: (package["name"], package["version"]))


def allowed(expression: str) -> bool:
    """Whether an SPDX expression ("/" is an old "OR") can be met by harmless licences alone; if in doubt, no."""
    terms = re.split(r"\s+AND\s+", re.sub(r"[()]", " ", expression))
    return all(
        any(re.sub(r"\s+WITH\s+LLVM-exception$", "", choice.strip()) in HARMLESS for choice in re.split(r"\s+OR\s+|/", term))
        for term in terms
    )


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: packaging/licences.py TARGET")
    texts: dict[str, list[str]] = {}
    print("palmd is linked with these crates, and with Rust's standard library (MIT or Apache-2.0,")
    print("The Rust Project Contributors). The texts of the licences follow.\n")
    for package in linked(sys.argv[1]):
        name = f"{package['name']} {package['version']}"
        expression = package["license"] or ""
        if not allowed(expression):
            fail(f"{name} is under {expression or 'no licence that it names'}: may it be passed on with palmd?")
        authors = ", ".join(re.sub(r"\s*<.*?>", "", author) for author in package["authors"])
        credit = f" ({authors})" if authors else ""
        source = f", {package['repository']}" if package["repository"] else ""
        print(f"{name}: {expression}{credit}{source}")
        for path in sorted(Path(package["manifest_path"]).parent.iterdir()):
            if path.is_file() and TEXT.match(path.name):
                text = path.read_text(errors="replace").strip()
                texts.setdefault("\n".join(line.rstrip() for line in text.splitlines()), []).append(name)
    for text, names in texts.items():
        print(f"\n{'=' * 78}\n{', '.join(dict.fromkeys(names))}:\n\n{text}")


if __name__ == "__main__":
    main()
