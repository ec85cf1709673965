"""A service for test_server: its one route waits for a line on standard input. Arguments: port, database."""

from __future__ import annotations

import sys

from engine.service import Keys, Queue, api, create, serve


def main(port: int, url: str) -> None:
    queue = Queue(1)
    app = create("waiting", Keys(api.opened(url)), queue=queue)

    @app.get("/line")
    async def line() -> str:
        sys.stdout.write("asked\n")
        sys.stdout.flush()
        return await queue.run(sys.stdin.readline)

    serve(app, host="127.0.0.1", port=port)
    queue.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
