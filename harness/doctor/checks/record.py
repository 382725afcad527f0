"""The results folder: room for a run, on a disk that keeps what it was told to keep."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

from harness.doctor.check import Level, Scene, Seen, check

LITTLE_BYTES, TOO_LITTLE_BYTES = 2**30, 200 * 2**20
_NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "lustre", "glusterfs", "fuse.sshfs", "beegfs")
_ELSEWHERE = "choose another folder with --results DIR"


@check("results folder")
def results_folder(scene: Scene) -> Seen:
    folder = _existing(scene.results)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return "problem", f"{folder} cannot be written", _ELSEWHERE
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB of disk are free"
    if free < LITTLE_BYTES:
        level: Level = "problem" if free < TOO_LITTLE_BYTES else "warning"
        return level, text, f"make room, or {_ELSEWHERE}"
    return "ok", text


@check("file system")
def file_system(scene: Scene) -> Seen:
    """SQLite's write-ahead log needs memory that all its processes share: no network gives that."""
    kind = _kind(_existing(scene.results).resolve())
    if kind.startswith(_NETWORK):
        return "problem", f"the results folder is on {kind}: a ledger there may break", _ELSEWHERE
    return "ok", f"the results folder is on {kind or 'a file system without a name'}"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _kind(folder: Path) -> str:
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounts[place] for place in (folder, *folder.parents) if place in mounts), "")
