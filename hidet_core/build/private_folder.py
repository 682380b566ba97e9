"""A folder that only this user can write: the ground on which cached code may be trusted.

Whoever can write the cache can run code as its user, so a folder that is a symbolic link, belongs
to somebody else or can be written by others is refused.  It is opened once; every later access goes
through the open folder, so nobody can put another one in its place in between.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


class Refused(Exception):
    """The folder cannot be used; the text says why and what to do."""


def open_private(path: Path) -> int:
    """A file descriptor of the folder, made (0700) if it is missing. Raises Refused."""
    path = path.absolute()
    try:
        _check_ancestors(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise Refused(f"{path} is a symbolic link: name the folder itself") from None
        raise Refused(f"{path}: {error.strerror}") from None
    try:
        _check(os.fstat(descriptor), path)
    except Refused:
        os.close(descriptor)
        raise
    return descriptor


def is_private(info: os.stat_result) -> bool:
    """Owned by this user and not writable by anybody else."""
    return info.st_uid == os.geteuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _check(info: os.stat_result, path: Path) -> None:
    if info.st_uid != os.geteuid():
        raise Refused(f"{path} belongs to user {info.st_uid}, not to user {os.geteuid()}")
    if not is_private(info):
        raise Refused(f"{path} can be written by others (mode {info.st_mode & 0o777:o}): chmod 700")


def _check_ancestors(path: Path) -> None:
    """In a folder that everybody can write, and that is not sticky, anybody can replace ours."""
    for folder in (path, *path.parents):
        try:
            mode = folder.stat().st_mode
        except FileNotFoundError:
            continue
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise Refused(f"{folder}, which holds it, can be written by everybody: chmod o-w")
