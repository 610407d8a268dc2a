"""Keys and certificates on disk: written whole or not at all, keys for their owner's eyes alone (T69)."""

from __future__ import annotations

import errno
import os
import secrets
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644
MAX_FILE_BYTES = 65_536


class KeyFileError(Exception):
    """A key file that must not be used; the text says why and how to mend it, and never quotes the key."""


def write_file(path: Path, data: bytes, mode: int, *, replace: bool = False) -> None:
    """Puts ``data`` at ``path`` with ``mode``, whatever the umask. It survives a power cut once this returns.

    At no moment is there half a file under that name, nor a key that others may read. Without ``replace`` an existing
    file is never touched: raises FileExistsError, also when two writers race.
    """
    with _staged(path, data, mode) as staged:
        _commit(staged, path, replace)
    _sync_folder(path.parent)


def write_pair(certificate: Path, chain_pem: bytes, key: Path, key_pem: bytes, *, replace: bool = False) -> None:
    """Writes a certificate chain and its key. Raises FileExistsError, having written neither, if either exists.

    Both are on disk under other names before either gets its own, so a full disk changes nothing. The key comes
    first: a crash in between leaves a key without its certificate, which nobody can use.
    """
    taken = [path for path in (certificate, key) if path.exists() or path.is_symlink()]
    if taken and not replace:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(taken[0]))
    with _staged(key, key_pem, PRIVATE) as new_key, _staged(certificate, chain_pem, PUBLIC) as new_chain:
        _commit(new_key, key, replace)
        try:
            _commit(new_chain, certificate, replace)
        except FileExistsError:
            key.unlink()
            raise
    _sync_folder(key.parent)
    _sync_folder(certificate.parent)


def check_private(path: Path) -> None:
    """Raises KeyFileError if ``path`` is not a regular file that its owner alone may read, OSError if it is not there.

    For keys that something else opens (`ssl.SSLContext.load_cert_chain`).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _check(descriptor, path)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """A key file's content. Raises as `check_private`; what is checked is the very file that is read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _check(descriptor, path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def read_public(path: Path) -> bytes:
    """A certificate file's content. Others may read it, and nobody but its owner may change it: it says who is trusted.

    Raises KeyFileError for what is no such file, OSError if it is not there.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _check(descriptor, path, forbidden=0o022)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Creates a folder for keys, open to its owner alone. One that exists is left as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _check(descriptor: int, path: Path, forbidden: int = 0o077) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path} is not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise KeyFileError(f"{path} is longer than {MAX_FILE_BYTES} bytes: that is no key")
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden and forbidden != 0o077:
        raise KeyFileError(f"{path} may be changed by others (mode {mode:04o}): chmod go-w {shlex.quote(str(path))}")
    if mode & forbidden:
        quoted = shlex.quote(str(path))
        raise KeyFileError(
            f"{path} may be read or changed by others (mode {mode:04o}): chmod 600 {quoted}, and if others have"
            " access to this machine issue a new key"
        )


@contextmanager
def _staged(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A complete, synced file beside ``path``; whatever is left of it goes at the end."""
    staged = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(staged, flags, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        yield staged
    finally:
        staged.unlink(missing_ok=True)


def _commit(staged: Path, path: Path, replace: bool) -> None:
    if replace:
        os.replace(staged, path)
    else:
        os.link(staged, path)  # unlike rename, it refuses a name that is taken


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
