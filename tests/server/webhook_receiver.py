"""A receiver of webhooks that checks signatures with Standard Webhooks' own library. Its argument is the secret. It
prints its port, then a line of JSON for each request. The path says how it behaves: /ok, /fails-twice, /hangs-once,
/moved, /gone."""

import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = sys.argv[1]
LOCK = threading.Lock()
SEEN = Counter()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            message = Webhook(SECRET).verify(body, headers)
            verified = True
        except WebhookVerificationError:
            message, verified = json.loads(body), False
        with LOCK:
            SEEN[self.path] += 1
            count = SEEN[self.path]
            say({"path": self.path, "count": count, "verified": verified, "id": headers["webhook-id"], "message": message})
        if self.path == "/hangs-once" and count == 1:
            # For longer than anybody waits.
            threading.Event().wait(600)
        status = 204
        if self.path == "/fails-twice" and count <= 2:
            status = 500
        if self.path == "/gone":
            status = 410
        if self.path == "/moved":
            status = 308
        self.send_response(status)
        self.send_header("content-length", "0")
        if status == 308:
            self.send_header("location", "/ok")
        self.end_headers()

    def log_message(self, *_):
        pass


def say(value):
    print(json.dumps(value), flush=True)


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
say({"port": server.server_port})
server.serve_forever()
