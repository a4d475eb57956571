"""Where the measuring is."""

import sys


def progress(text, last=False):
    """One line that changes where somebody looks at it, and only the last one elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        print(text, file=sys.stderr, flush=True)
