"""MathJax from npm, for pages that show formulas without a network."""

import shutil
import subprocess
import tarfile
import tempfile
from hashlib import sha512
from pathlib import Path

PACKAGE = "mathjax@3.2.2"
SHA512 = (
    "06df9249553c7811b6ef30a155ec0e89c62ced7b1db78d2a9b8f94a47c97ee4d"
    "3f3bd36588f73ec7bee4d7f144b0fb2328f64626fb5164cd6f3be81e5b43a11b"
)
SCRIPT = "es5/tex-svg-full.js"


def fetch(cache, static):
    """Put the script into `static` by way of `cache`; return its path from there."""
    kept = cache / f"{PACKAGE}.js"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(_script_of_package())
    static.mkdir(exist_ok=True)
    shutil.copyfile(kept, static / "mathjax.js")
    return "mathjax.js"


def _script_of_package():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", PACKAGE], cwd=folder, check=True)
        [archive] = Path(folder).glob("*.tgz")
        found = sha512(archive.read_bytes()).hexdigest()
        if found != SHA512:
            raise ValueError(
                f"{PACKAGE} has SHA-512 {found}, but {SHA512} is expected."
            )
        with tarfile.open(archive) as members:
            return members.extractfile(f"package/{SCRIPT}").read()
