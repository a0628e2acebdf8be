# SPDX-License-Identifier: MIT
"""For maintainers: fetches the front-end packages that vendor.json names, unchanged, and writes their checksums into it.

    python tests/web/vendor.py [PACKAGE=VERSION ...]

What it takes of each package is `take` there: files, or folders with a slash at the end. Needs npm, which knows its own registry.
The test beside it (test_vendor.py) recomputes every checksum.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).parents[2] / "labvirt" / "web" / "ui" / "static" / "vendor"
LIST = VENDOR / "vendor.json"


def packages() -> list[dict[str, Any]]:
    return list(json.loads(LIST.read_text())["packages"])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(package: dict[str, Any], room: Path) -> dict[str, bytes]:
    """What is taken of the package: path inside of it -> content."""
    spec = f"{package['name']}@{package['version']}"
    packed = subprocess.run(["npm", "pack", "--silent", spec], cwd=room, check=True, capture_output=True, text=True)
    taken = {}
    with tarfile.open(room / packed.stdout.strip().splitlines()[-1]) as archive:
        for member in archive.getmembers():
            name = member.name.removeprefix("package/")
            file = archive.extractfile(member) if member.isfile() and ".." not in Path(name).parts else None
            if file is not None and any(name == each or (each.endswith("/") and name.startswith(each)) for each in package["take"]):
                taken[name] = file.read()
    missing = [each for each in package["take"] if not any(name.startswith(each) for name in taken)]
    if missing:
        raise SystemExit(f"{spec} has no {', '.join(missing)}")
    return dict(sorted(taken.items()))


def main(versions: dict[str, str]) -> None:
    listed = packages()
    for package in listed:
        package["version"] = versions.get(package["name"], package["version"])
        for name in package["files"]:
            (VENDOR / package["folder"] / name).unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as room:
            taken = fetch(package, Path(room))
        for name, content in taken.items():
            place = VENDOR / package["folder"] / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        package["files"] = {name: digest(VENDOR / package["folder"] / name) for name in taken}
        print(f"{package['name']} {package['version']}: {len(package['files'])} files")
    LIST.write_text(json.dumps({"packages": listed}, indent=2) + "\n")


if __name__ == "__main__":
    main(dict(each.rsplit("=", 1) for each in sys.argv[1:]))
