"""A compiler process: `python -m hidet_core.build.worker`, spoken to through pipes by `pool.Pool`.

Frames on standard input and output: length of a JSON header, length of a body, header, body.  First
it says what it is ({"toolchain": ...}); then every request {"toolchain", "flags"} (of a target) with a
source as body is answered by {"error": null} with the binary as body, or {"error": text,
"rejected": whether it is the schedule's fault}.  It ends when its input does, so it never outlives
its parent.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from typing import Any, BinaryIO

from hidet_core.base.errors import Rejected

from .llvm import TOOLCHAIN
from .toolchains import TOOLCHAINS

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
            translate = TOOLCHAINS[header["toolchain"]].translate
            image = translate(text.decode(), **header["flags"])
        except (ValueError, Rejected) as error:
            rejected = isinstance(error, Rejected)
            send(answers, {"error": str(error), "rejected": rejected})
        else:
            send(answers, {"error": None}, image)


if __name__ == "__main__":
    main()
