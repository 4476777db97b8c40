"""Answers the vendor's client with bytes of a test's choosing, as no simulator would. Touches one loopback socket."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

from onlyfans.client import VendorClient, pools_close

KEY = "sim_key_demo1"


@contextlib.contextmanager
def raw_server(*answers: bytes | None, requests: int = 1) -> Iterator[tuple[VendorClient, list[bytes]]]:
    """A socket that reads each request whole and answers it with the given bytes; None resets the connection."""
    seen: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        left = list(answers)
        with contextlib.suppress(OSError):
            while left:
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(5)
                    while left and (request := read_request(connection)):
                        seen.append(request)
                        answer = left.pop(0)
                        if answer is None:
                            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                            break
                        connection.sendall(answer)
                        if b"content-length" not in answer.lower():
                            break

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield VendorClient(base_url=url, account_id="acct_demo1", api_key=KEY), seen
        pools_close()
        thread.join(5)


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answer(status: str, body: bytes = b"{}", content_type: str = "application/json", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


TAKEN = answer("200 OK", b'{"data": {"id": 123, "text": "<p>Hi</p>"}}')
