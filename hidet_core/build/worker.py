"""A compiler process: `python -m hidet_core.build.worker`, spoken to through pipes by `pool.Pool`.

Frames on standard input and output: length of a JSON header, length of a body, header, body.  First
it says what it is ({"toolchain": ...}); then every request {"llvm_cpu", "features"} with LLVM IR as
body is answered by {"error": null} with the object as body, or {"error": text}.  It ends when its
input does, so it never outlives its parent.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from typing import Any, BinaryIO

from .llvm import TOOLCHAIN, translate

LENGTHS = struct.Struct("<II")


def send(stream: BinaryIO, header: dict[str, Any], body: bytes = b"") -> None:
    """Write one frame."""
    text = json.dumps(header).encode()
    stream.write(LENGTHS.pack(len(text), len(body)) + text + body)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Read one frame; None where the stream ends, also in the middle of a frame."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    header_bytes, body_bytes = LENGTHS.unpack(lengths)
    content = stream.read(header_bytes + body_bytes)
    if len(content) < header_bytes + body_bytes:
        return None
    return json.loads(content[:header_bytes]), content[header_bytes:]


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get between the frames
    send(answers, {"toolchain": TOOLCHAIN})
    while (request := receive(sys.stdin.buffer)) is not None:
        header, text = request
        try:
            image = translate(text.decode(), header["llvm_cpu"], header["features"])
        except ValueError as error:
            send(answers, {"error": str(error)})
        else:
            send(answers, {"error": None}, image)


if __name__ == "__main__":
    main()
