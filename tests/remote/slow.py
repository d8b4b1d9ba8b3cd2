"""A slow link to a server: prints its port, and forwards at most BYTES_PER_SECOND, both directions together.

Usage: slow.py PORT BYTES_PER_SECOND
"""

import asyncio
import pathlib
import sys
import threading

sys.path.append(str(pathlib.Path(__file__).parent.parent / "conformance"))
from relay import Relay  # noqa: E402


class SlowRelay(Relay):
    def __init__(self, port, rate):
        self._rate = rate
        self._free_at = 0
        super().__init__(port)

    async def passing(self, data):
        now = self._loop.time()
        self._free_at = max(self._free_at, now) + len(data) / self._rate
        await asyncio.sleep(self._free_at - now)
        return data


def main():
    print(SlowRelay(int(sys.argv[1]), float(sys.argv[2])).port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
