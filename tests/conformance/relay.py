"""A relay to a server that counts the bytes in both directions."""

import asyncio
import threading

CHUNK = 1 << 18


class Relay:
    """Listens on a port of its own and forwards all data, until the process ends."""

    def __init__(self, port):
        self.up = self.down = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        listening = threading.Event()
        threading.Thread(target=self._run, args=[listening], daemon=True).start()
        listening.wait()

    def take(self):
        """Bytes up and down since the last call."""
        taken = self.up, self.down
        self.up = self.down = 0
        return taken

    async def passing(self, data):
        """The bytes to forward for some received bytes, which are counted already; `None` ends the connection."""
        return data

    def _run(self, listening):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        self._loop.run_forever()

    async def _connect(self, reader, writer):
        try:
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, their_writer, "up"), self._pump(their_reader, writer, "down"))

    async def _pump(self, reader, writer, direction):
        try:
            while data := await reader.read(CHUNK):
                setattr(self, direction, getattr(self, direction) + len(data))
                data = await self.passing(data)
                if data is None:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
