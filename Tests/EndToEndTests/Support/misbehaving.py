"""A webhook receiver that misbehaves as it is told.

    misbehaving.py BEHAVIOUR [BEHAVIOUR ...]     one for each request, the last one for all that follow

Behaviours: a status; STATUS:VALUE with VALUE as Retry-After, `date+N` for a date N seconds ahead; close; reset; half
(half of an answer); garbage; hang; redirect:URL; random:P:SEED (fails with probability P in one of these ways).
Prints its port, then one JSON line a request. Ends when its standard input is closed.
"""
import email.utils
import json
import os
import random
import socket
import struct
import sys
import threading
import time

behaviours = sys.argv[1:]
lock = threading.Lock()
generator = random.Random(1)


def next_behaviour():
    behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
    if behaviour.startswith("random:"):
        _, probability, seed = behaviour.split(":")
        if generator.random() >= float(probability):
            return "200"
        return generator.choice(["500", "503", "429:0", "close", "reset", "half", "404", "garbage"])
    return behaviour


def answer(status, fields=(), body=b""):
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"] + [f"{k}: {v}" for k, v in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def serve(connection):
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            piece = connection.recv(65536)
            if not piece:
                return
            buffer += piece
        head, buffer = buffer.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        length = int(headers["content-length"])
        while len(buffer) < length:
            piece = connection.recv(65536)
            if not piece:
                return
            buffer += piece
        body, buffer = buffer[:length], buffer[length:]
        with lock:
            behaviour = next_behaviour()
            print(json.dumps({"behaviour": behaviour, "request": lines[0], "headers": headers, "at": time.time(),
                              "body": body.decode()}), flush=True)
        if behaviour == "close":
            return
        if behaviour == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if behaviour == "half":
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            return
        if behaviour == "garbage":
            connection.sendall(b"220 mail.example ESMTP\r\n")
            return
        if behaviour == "hang":
            time.sleep(60)
            return
        if behaviour.startswith("redirect:"):
            connection.sendall(answer(307, [("location", behaviour.split(":", 1)[1])]))
            continue
        status, _, value = behaviour.partition(":")
        fields = []
        if value.startswith("date+"):
            fields = [("retry-after", email.utils.formatdate(time.time() + float(value[5:]), usegmt=True))]
        elif value:
            fields = [("retry-after", value)]
        connection.sendall(answer(status, fields, b"" if status == "200" else b"because I say so"))


def run(connection):
    try:
        serve(connection)
    except OSError:
        pass
    connection.close()


server = socket.create_server(("127.0.0.1", 0), backlog=128)
print(server.getsockname()[1], flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    accepted, _ = server.accept()
    threading.Thread(target=run, args=(accepted,), daemon=True).start()
