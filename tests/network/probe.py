"""Runs inside of a pod: connects to every address of its argument at once, and prints what came.

`open` is a connection, `silent` none within the seconds of the second argument, as a packet that is
dropped; all else is the error's own name.
"""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor


def attempt(address: list[object]) -> str:
    host, port = str(address[0]), int(str(address[1]))
    try:
        socket.create_connection((host, port), timeout=float(sys.argv[2])).close()
    except TimeoutError:
        return "silent"
    except OSError as error:
        return type(error).__name__
    return "open"


def main() -> None:
    addresses = json.loads(sys.argv[1])
    with ThreadPoolExecutor(len(addresses)) as pool:
        found = pool.map(attempt, addresses.values())
    print(json.dumps(dict(zip(addresses, found, strict=True))))


main()
