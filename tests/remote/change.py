"""Changes the first number of one tensor of a safetensors file.

Usage: change.py FILE TENSOR
"""

import json
import struct
import sys


def main():
    with open(sys.argv[1], "r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        first = 8 + length + json.loads(file.read(length))[sys.argv[2]]["data_offsets"][0]
        file.seek(first)
        byte = file.read(1)[0]
        file.seek(first)
        file.write(bytes([byte ^ 0x10]))


if __name__ == "__main__":
    main()
