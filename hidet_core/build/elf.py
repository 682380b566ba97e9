"""What the compiler itself must know of an ELF object: the symbols it does not define."""

from __future__ import annotations

import struct

_SYMTAB = 2


def undefined_symbols(image: bytes) -> set[str]:
    """Names of the symbols a 64-bit little-endian object expects from outside. Raises ValueError
    if it is not one.
    """
    if image[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    sections, entry_size, count = _section_table(image)
    headers = [
        struct.unpack_from("<IIQQQQIIQQ", image, sections + i * entry_size) for i in range(count)
    ]
    names: set[str] = set()
    for _, kind, _, _, offset, size, link, _, _, step in headers:
        if kind != _SYMTAB:
            continue
        strings = headers[link][4]
        for at in range(offset + step, offset + size, step):  # the first symbol is the null symbol
            name, _, _, section = struct.unpack_from("<IBBH", image, at)
            if section == 0:
                start = strings + name
                names.add(image[start : image.index(b"\0", start)].decode())
    return names - {""}


def _section_table(image: bytes) -> tuple[int, int, int]:
    (offset,) = struct.unpack_from("<Q", image, 40)
    entry_size, count = struct.unpack_from("<HH", image, 58)
    return offset, entry_size, count
