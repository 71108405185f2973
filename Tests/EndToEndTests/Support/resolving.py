"""A small internet for the tests: a name server, and a receiver of webhooks at every address it may name.

    unshare --mount --net python3 resolving.py FOLDER NAME

Only ever runs in a mount and a network namespace of its own. Brings its loopback up, with addresses that belong to others
elsewhere, and makes itself the resolver. Prints `ready PORT`, then one JSON line for each question, connection and request.
Commands on standard input, each answered by `ok`:

    answer ADDRESS[,ADDRESS...] [ADDRESS...]    what NAME resolves to; each further word holds for one more look-up of A
    status NUMBER                               what the next requests are answered with
"""
import fcntl
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import threading

folder, name = sys.argv[1], sys.argv[2].rstrip(".").lower()
PUBLIC = ["93.184.215.14", "93.184.215.15"]
PRIVATE = ["10.1.2.3", "169.254.169.254", "192.168.7.7"]
lock = threading.Lock()
state = {"answers": [[]], "status": 200}


def say(**words):
    with lock:
        print(json.dumps(words), flush=True)


def set_up():
    # netdevice(7): SIOCSIFADDR 0x8916, SIOCGIFFLAGS 0x8913, SIOCSIFFLAGS 0x8914, IFF_UP 1
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for index, address in enumerate(["127.0.0.1"] + PUBLIC + PRIVATE):
        label = b"lo" if index == 0 else b"lo:%d" % index
        request = struct.pack("16sHH4s8x", label, socket.AF_INET, 0, socket.inet_aton(address))
        if index > 0:
            fcntl.ioctl(control, 0x8916, request)
        flags = struct.unpack("16sH", fcntl.ioctl(control, 0x8913, struct.pack("16sH14x", label, 0))[:18])[1]
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", label, flags | 1))
    for target, text in (("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n"), ("/etc/nsswitch.conf", "hosts: dns\n")):
        path = os.path.join(folder, os.path.basename(target))
        with open(path, "w") as file:
            file.write(text)
        subprocess.run(["mount", "--bind", path, os.path.realpath(target)], check=True)


def reply(question):
    """RFC 1035: one question, answered with all there is of its type; time to live 0."""
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode())
        at += question[at] + 1
    kind = struct.unpack(">H", question[at + 1:at + 3])[0]
    asked = ".".join(labels).lower()
    with lock:
        addresses = state["answers"][0] if asked == name else []
        if kind == 1 and asked == name and len(state["answers"]) > 1:
            state["answers"].pop(0)
    say(question=asked, type=kind)
    records = b""
    count = 0
    for address in map(ipaddress.ip_address, addresses):
        if (kind, address.version) in ((1, 4), (28, 6)):
            records += struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(address.packed)) + address.packed
            count += 1
    return question[:2] + struct.pack(">HHHHH", 0x8580, 1, count, 0, 0) + question[12:at + 5] + records


def serve_names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        question, peer = server.recvfrom(4096)
        server.sendto(reply(question), peer)


def serve_requests(server):
    while True:
        connection, _ = server.accept()
        local = connection.getsockname()[0].removeprefix("::ffff:")
        say(connection=local)
        try:
            connection.settimeout(5)
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            head, body = data.split(b"\r\n\r\n", 1)
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            while len(body) < int(fields.get(b"content-length", 0)):
                body += connection.recv(65536)
            with lock:
                status = state["status"]
            say(request=local, host=fields[b"host"].decode(), id=fields[b"webhook-id"].decode(), status=status)
            connection.sendall(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        except (OSError, ValueError, KeyError) as error:
            say(error=str(error))
        connection.close()


set_up()
listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
threading.Thread(target=serve_names, daemon=True).start()
threading.Thread(target=serve_requests, args=(listener,), daemon=True).start()
print("ready", listener.getsockname()[1], flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    with lock:
        if word == "answer":
            state["answers"] = [part.split(",") for part in rest]
        else:
            state["status"] = int(rest[0])
        print("ok", flush=True)
