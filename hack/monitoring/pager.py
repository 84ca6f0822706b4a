"""A webhook receiver that prints each notification of Alertmanager as a line of JSON."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(json.dumps({"at": time.time(), "path": self.path, "notification": body}))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the connections of the readiness probe say nothing."""


ThreadingHTTPServer(("", 8000), Handler).serve_forever()
