"""Remote caches that violate the protocol. The build must be right nevertheless."""

import random
import socket
import threading
import time

from target import remove


class Server:
    """A listener on loopback that treats every connection in one hostile way."""

    def __init__(self, behave, seed):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.behave, self.rng, self.is_over = behave, random.Random(seed), False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.is_over:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.treat, args=(connection,), daemon=True).start()

    def treat(self, connection):
        connection.settimeout(5)
        try:
            # A connection may carry several requests.
            for _ in range(50):
                request = b""
                while b"\r\n\r\n" not in request and len(request) < 1 << 16:
                    part = connection.recv(65536)
                    if not part:
                        return
                    request += part
                    if request.startswith(b"PRI * HTTP/2.0"):
                        break
                if self.is_over or not self.behave(self, connection, request):
                    return
        except OSError:
            pass
        finally:
            connection.close()

    def stop(self):
        self.is_over = True
        self.listener.close()


def body(status, data, *headers):
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", *headers, "", ""]
    return "\r\n".join(head).encode() + data


def garbage(server, connection, _):
    connection.sendall(server.rng.randbytes(server.rng.randrange(1, 100000)))
    return False


def silence(server, connection, _):
    end = time.monotonic() + 4
    while not server.is_over and time.monotonic() < end:
        time.sleep(0.05)
    return False


def close(_, __, ___):
    return False


def random_blob(server, connection, _):
    connection.sendall(body("200 OK", server.rng.randbytes(server.rng.randrange(0, 50000))))
    return True


def empty(_, connection, __):
    connection.sendall(body("200 OK", b""))
    return True


def cut_body(server, connection, _):
    whole = body("200 OK", server.rng.randbytes(10000))
    connection.sendall(whole[: server.rng.randrange(len(whole))])
    return False


def lying_length(server, connection, _):
    length = server.rng.choice(("-1", "18446744073709551615", "9223372036854775807", "1e9", "x", "0", "4398046511104"))
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + bytes(1000))
    return False


def endless_body(server, connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    # Bounded nevertheless: a client that reads all of it has read far too much.
    for _ in range(2000):
        if server.is_over:
            break
        connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
    return False


def endless_headers(server, connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for index in range(20000):
        if server.is_over:
            break
        connection.sendall(f"X-{index}: {'a' * 1000}\r\n".encode())
    return False


def slow_headers(server, connection, _):
    for letter in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":
        if server.is_over:
            break
        connection.sendall(bytes([letter]))
        time.sleep(0.3)
    return False


def redirects(server, connection, _):
    where = server.rng.choice((
        f"http://127.0.0.1:{server.port}/again{server.rng.random()}", "file:///etc/hostname", "http://[::1]:1/", "//", "",
        "http://127.0.0.1:1/", f"http://user:secret@127.0.0.1:{server.port}/", "\x1b[2J", "gopher://127.0.0.1/",
    ))
    status = server.rng.choice(("301 Moved", "302 Found", "307 Temporary", "308 Permanent"))
    connection.sendall(body(status, b"", f"Location: {where}"))
    return True


def any_status(server, connection, _):
    status = server.rng.choice((100, 101, 204, 206, 304, 400, 401, 403, 407, 408, 409, 413, 418, 429, 500, 502, 503, 999))
    connection.sendall(body(f"{status} \x1b[31mred", server.rng.randbytes(100), "Retry-After: 99999999"))
    return True


def zipped(server, connection, _):
    import gzip

    encoding = server.rng.choice(("gzip", "zstd", "br", "deflate", "x"))
    connection.sendall(body("200 OK", gzip.compress(bytes(50 << 20)), f"Content-Encoding: {encoding}"))
    return True


def frames(server, connection, _):
    """HTTP/2 frames of random types, flags and lengths, after a valid SETTINGS frame."""
    connection.sendall(b"\0\0\0\4\0\0\0\0\0")
    for _ in range(server.rng.randrange(1, 200)):
        payload = server.rng.randbytes(server.rng.randrange(0, 300))
        kind, flags, stream = server.rng.randrange(10), server.rng.randrange(256), server.rng.choice((0, 1, 3, 5, 1 << 30))
        connection.sendall(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)
    return False


WAYS = (garbage, silence, close, random_blob, empty, cut_body, lying_length, endless_body, endless_headers, slow_headers,
        redirects, any_status, zipped, frames)


def run(target, tally, n_attempts, rng):
    for attempt in range(n_attempts):
        way, scheme = WAYS[attempt % len(WAYS)], rng.choice(("http", "grpc", "http"))
        remove(target.cache)
        remove(target.workspace / "mc-out")
        server = Server(way, rng.random())
        options = ["--remote-cache", f"{scheme}://127.0.0.1:{server.port}/x"[: None if scheme == "http" else -2]]
        options += ["--remote-timeout", "1", "--remote-connect-timeout", "1", "--remote-retries", "1"]
        if rng.random() < 0.5:
            options.append("--remote-upload-local-results")
        ran = target.build(*options)
        server.stop()
        outcome = target.judge(ran)
        if outcome == "error":
            # Without `--remote-cache-required` a cache must never be a reason to fail.
            outcome = "wrong"
        tally.add(outcome, f"{way.__name__} over {scheme}, attempt {attempt}", ran, target)
