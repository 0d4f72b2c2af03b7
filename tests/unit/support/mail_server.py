"""A mail server for tests, with STARTTLS, a password, and a file for each mail.

mail_server.py PORT FOLDER CERTIFICATE KEY PASSWORD_FILE. Tests run it on hosts, with only Python 3.10.
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
        super().__init__(("127.0.0.1", port), Session)
        self.folder, self.password, self.numbers = folder, password, itertools.count()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain, key)


class Session(socketserver.StreamRequestHandler):
    server: Server

    def reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        encrypted = authenticated = False
        self.reply("220 ready")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb in ("EHLO", "HELO"):
                self.reply("250-hello")
                self.reply("250 AUTH PLAIN" if encrypted else "250 STARTTLS")
            elif verb == "STARTTLS":
                self.reply("220 go ahead")
                self.finish()
                try:
                    self.request = self.server.context.wrap_socket(self.request, server_side=True)
                except ssl.SSLError:  # the client does not trust the certificate
                    return
                self.setup()
                encrypted = True
            elif verb == "AUTH" and encrypted:
                authenticated = (
                    base64.b64decode(line.split()[2]).decode().split("\0")[2] == self.server.password
                )
                self.reply("235 authenticated" if authenticated else "535 wrong password")
            elif verb in ("MAIL", "RCPT", "RSET", "NOOP"):
                self.reply("250 OK" if authenticated else "530 authentication required")
            elif verb == "DATA":
                self.reply("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                path = self.server.folder / f"{next(self.server.numbers)}.eml"
                path.write_bytes(b"".join(lines))
                self.reply("250 stored")
            elif verb == "QUIT":
                self.reply("221 bye")
                break
            else:
                self.reply("502 command not implemented")
        self.finish()
        self.request.close()


if __name__ == "__main__":
    port, folder, chain, key, password_file = sys.argv[1:]
    Server(int(port), Path(folder), chain, key, Path(password_file).read_text()).serve_forever()
