# Part of mailhookd. SPDX-License-Identifier: Apache-2.0
#
# Holds listening sockets and starts a program with them, as systemd does with socket units: the
# descriptors from 3 on, LISTEN_FDS, LISTEN_FDNAMES, and LISTEN_PID, the program's own. Sockets
# stay open while the program is down.
#
#   activate.py NAME=ADDRESS... -- PROGRAM ARGUMENT...
#
# ADDRESS is HOST:PORT or a path. Prints each socket as "NAME ADDRESS", then obeys lines of
# standard input: "start"; "stop" (SIGTERM), "kill" (SIGKILL) and "wait", which wait for the end;
# and "signal N".

import fcntl
import os
import signal
import socket
import sys


def listen(address):
    if address.startswith("/"):
        made = socket.socket(socket.AF_UNIX)
        made.bind(address)
    else:
        host, port = address.rsplit(":", 1)
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host.strip("[]"), int(port)))
    made.listen(1024)
    # Out of the way of the numbers the program will see.
    return socket.socket(fileno=fcntl.fcntl(made.detach(), fcntl.F_DUPFD_CLOEXEC, 100))


def start(sockets, names, command):
    child = os.fork()
    if child:
        return child
    for index, made in enumerate(sockets):
        os.dup2(made.fileno(), 3 + index)
        os.set_inheritable(3 + index, True)
    environment = dict(os.environ)
    environment["LISTEN_FDS"] = str(len(sockets))
    environment["LISTEN_FDNAMES"] = ":".join(names)
    environment["LISTEN_PID"] = str(os.getpid())
    try:
        os.execvpe(command[0], command, environment)
    finally:
        os._exit(127)


def main():
    split = sys.argv.index("--")
    command = sys.argv[split + 1:]
    names, sockets = [], []
    for argument in sys.argv[1:split]:
        name, address = argument.split("=", 1)
        names.append(name)
        sockets.append(listen(address))
        bound = sockets[-1].getsockname()
        print("passed", name, bound if isinstance(bound, str) else "%s:%d" % bound[:2], flush=True)
    child = 0
    for line in sys.stdin:
        order = line.split()
        if order[0] == "start":
            child = start(sockets, names, command)
            print("started", child, flush=True)
        elif order[0] == "signal":
            os.kill(child, int(order[1]))
        elif child:
            if order[0] != "wait":
                os.kill(child, signal.SIGTERM if order[0] == "stop" else signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            child = 0
            print("ended", os.waitstatus_to_exitcode(status), flush=True)
    if child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


main()
