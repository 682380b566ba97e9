"""The machine code of a cubin, as far as tests ask: in what order it waits and touches memory."""

import struct

INSTRUCTION = 16  # bytes, since Volta
OPCODE = 0x1FF  # its bits that tell apart what is done; others say where operands come from
ACTIONS = {
    0x02E: "wait",  # ACQBULK
    0x02D: "launch",  # PREEXIT
    0x181: "load",  # LDG
    0x180: "load",  # LD
    0x18F: "prefetch",  # CCTL.PF2
    0x186: "store",  # STG
    0x185: "store",  # ST
    0x1A8: "atomic",  # ATOMG
    0x1AE: "copy",  # LDGSTS
}


def order_of(image):
    """What the instructions of a cubin's kernel do, one after the other as they lie in memory; of
    those in ACTIONS.
    """
    words = [image[at : at + 2] for at in code_of(image)]
    found = (ACTIONS.get(int.from_bytes(word, "little") & OPCODE) for word in words)
    return [action for action in found if action is not None]


def code_of(image):
    """The places of the instructions."""
    (table,) = struct.unpack_from("<Q", image, 40)
    size, count, names = struct.unpack_from("<HHH", image, 58)
    headers = [struct.unpack_from("<IIQQQQ", image, table + k * size) for k in range(count)]
    strings = headers[names][4]
    for name, _, _, _, offset, length in headers:
        if image[strings + name :].startswith(b".text."):
            return range(offset, offset + length, INSTRUCTION)
    raise ValueError("no kernel in it")
