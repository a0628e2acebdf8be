# SPDX-License-Identifier: MIT
"""How a recipe is called and how it ends: the options that all have, one sentence for each failure, one line for what was made."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labvirt_recipe import RecipeError
from labvirt_recipe.cache import default_cache
from labvirt_recipe.mirror import default_mirror
from labvirt_recipe.program import SPEAKER


@dataclass(frozen=True, slots=True)
class Made:
    """What a build ends with. `built`: now, and not found in the cache."""

    path: Path
    manifest: dict[str, Any]
    built: bool


def command(description: str, *, out: str, out_is: str) -> argparse.ArgumentParser:
    """A parser with the options that all recipes have; `out` stands for the name after --out."""
    parser = argparse.ArgumentParser(prog="build.py", description=description, allow_abbrev=False)
    parser.add_argument("--out", type=Path, metavar=out, help=out_is)
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--refresh", action="store_true", help="take newer packages than the cache has")
    parser.add_argument("--json", action="store_true", help="print the manifest, path, built (or reused), seconds")
    return parser


def add_mirror(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mirror", default=default_mirror(), metavar="URL", help="Debian's archive (default: the one apt uses here)")


def carry_out(options: argparse.Namespace, make: Callable[[argparse.Namespace, Path], Made | str | None]) -> int:
    """The exit status of `make`, which is given the cache's absolute path; what it returns is printed, what it raises is a sentence."""
    # So that an ordered end cleans up like any other error does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    began = time.monotonic()
    cache = options.cache.absolute()
    try:
        made = make(options, cache)
    except RecipeError as error:
        print(f"{SPEAKER}{error}", file=sys.stderr)
        return 1
    except OSError as error:
        place = error.filename or cache
        print(f"{SPEAKER}{place}: {error.strerror}; choose another --cache or --out, or free space.", file=sys.stderr)
        return 1
    if isinstance(made, Made) and options.json:
        told = {**made.manifest, "path": str(made.path), "built": made.built, "seconds": round(time.monotonic() - began, 3)}
        print(json.dumps(told))
    elif made is not None:
        print(made.path if isinstance(made, Made) else made)
    return 0
