"""A mail server for tests: STARTTLS, a password, and a file for each mail.

mail_server.py PORT FOLDER CERTIFICATE KEY PASSWORD_FILE; tests of hosts run it there, with Python 3.10 alone.
"""

from __future__ import annotations

import base64
import itertools
import socketserver
import ssl
import sys
from pathlib import Path


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, port: int, folder: Path, chain: str, key: str, password: str) -> None:
        super().__init__(("127.0.0.1", port), Conversation)
        self.folder, self.password, self.numbers = folder, password, itertools.count()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain, key)


class Conversation(socketserver.StreamRequestHandler):
    server: Server

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        private = known = False
        self.say("220 ready")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb in ("EHLO", "HELO"):
                self.say("250-hello")
                self.say("250 AUTH PLAIN" if private else "250 STARTTLS")
            elif verb == "STARTTLS":
                self.say("220 go ahead")
                self.finish()
                try:
                    self.request = self.server.context.wrap_socket(self.request, server_side=True)
                except ssl.SSLError:  # whoever asks does not trust it
                    return
                self.setup()
                private = True
            elif verb == "AUTH" and private:
                known = base64.b64decode(line.split()[2]).decode().split("\0")[2] == self.server.password
                self.say("235 known" if known else "535 wrong password")
            elif verb in ("MAIL", "RCPT", "RSET", "NOOP"):
                self.say("250 well" if known else "530 who is it?")
            elif verb == "DATA":
                self.say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                path = self.server.folder / f"{next(self.server.numbers)}.eml"
                path.write_bytes(b"".join(lines))
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                break
            else:
                self.say("502 what?")
        self.finish()
        self.request.close()


if __name__ == "__main__":
    port, folder, chain, key, password_file = sys.argv[1:]
    Server(int(port), Path(folder), chain, key, Path(password_file).read_text()).serve_forever()
