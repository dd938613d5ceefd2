"""A mail server that keeps what it is given, and can be told to refuse."""

import email
import socketserver
import threading
from contextlib import contextmanager


class Post(socketserver.ThreadingTCPServer):
    """As much SMTP as a client needs to leave a message."""

    daemon_threads = allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Talk)
        self.mails, self.is_refusing = [], False
        self.url = f"smtp://127.0.0.1:{self.server_address[1]}"


class _Talk(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 here")
        to = []
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "QUIT":
                self.say("221 gone")
                return
            if word == "RCPT" and self.server.is_refusing:
                self.say("451 later")
            elif word == "RCPT":
                to.append(line.split("<")[1].split(">")[0])
                self.say("250 good")
            elif word == "DATA":
                self.say("354 go on")
                self.server.mails.append((tuple(to), email.message_from_bytes(self.read())))
                self.say("250 taken")
            else:
                self.say("250 good")

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())

    def read(self):
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        return b"".join(lines)


@contextmanager
def post():
    """A mail server for a while."""
    with Post() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
