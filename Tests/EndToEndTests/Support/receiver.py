"""A webhook receiver for the tests: verifies each request with the reference library and answers as told.

    receiver.py SECRET [STATUS ...]     statuses of the first answers, in their order; 200 after that

Prints its port, then one JSON line a request. Ends when its standard input is closed.
"""
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

secret, statuses = sys.argv[1], [int(s) for s in sys.argv[2:]]
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            Webhook(secret).verify(body, dict(self.headers))
            verified = True
        except Exception:
            verified = False
        with lock:
            status = statuses.pop(0) if statuses else 200
            print(json.dumps({"verified": verified, "status": status, "headers": {k.lower(): v for k, v in self.headers.items()},
                              "body": body.decode()}), flush=True)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
