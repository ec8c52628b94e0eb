"""Takes what an agent knows of layers out of its file: shapes.py AGENT OUT."""

import json
import struct
import sys
from pathlib import Path


def main(agent: str, out: str) -> None:
    """Reads the tensor `shapes` of a safetensors file (docs/run-folder.md)."""
    data = Path(agent).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    first, end = header["shapes"]["data_offsets"]
    Path(out).write_bytes(data[8 + length :][first:end])


if __name__ == "__main__":
    main(*sys.argv[1:])
