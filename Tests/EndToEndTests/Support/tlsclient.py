# Part of mailhookd. SPDX-License-Identifier: Apache-2.0
#
# A client that does what it is told, with TLS from the beginning, in between, or not at all:
#     tlsclient.py HOST PORT
# Standard input has a JSON array a line: ["send", TEXT], ["octets", HEXADECIMAL], ["reply"], ["tls", VERSION or null], ["rest"].
# Standard output has a line for each of them: the reply, the version of TLS with the certificate's
# serial number, what came until the end, or "closed" and the reason.
import hashlib
import json
import socket
import ssl
import sys

connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=15)
pending = b""


def say(value):
    print(json.dumps(value), flush=True)


def receive():
    global pending
    data = connection.recv(65536)
    pending += data
    return len(data) > 0


def reply():
    global pending
    lines = []
    while True:
        while b"\r\n" in pending:
            line, pending = pending.split(b"\r\n", 1)
            lines.append(line.decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return "\n".join(lines)
        if not receive():
            return "closed " + "\n".join(lines)


def handshake(version):
    global connection, pending
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        if version in ("TLSv1", "TLSv1_1"):
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    connection = context.wrap_socket(connection)
    pending = b""
    return connection.version() + " " + hashlib.sha256(connection.getpeercert(True)).hexdigest()


for line in sys.stdin:
    step = json.loads(line)
    try:
        if step[0] == "send":
            connection.sendall(step[1].encode("utf-8"))
            say("sent")
        elif step[0] == "octets":
            connection.sendall(bytes.fromhex(step[1]))
            say("sent")
        elif step[0] == "reply":
            say(reply())
        elif step[0] == "tls":
            say(handshake(step[1]))
        elif step[0] == "rest":
            while receive():
                pass
            say(pending.decode("utf-8", "replace"))
    except OSError as error:
        say("closed " + str(error))
