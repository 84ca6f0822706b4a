"""`python3 -m hack.image build|name [IMAGE...]`: one line per image on standard output.

Name and archive; where a Docker engine answers, which then has the image, `-` for the archive.
Without names it is all images but those of one test.
"""

from __future__ import annotations

import argparse
import fcntl
import sys

from hack.image.recipe import BY_NAME, Progress, cache_dir, recipes
from hack.image.rootfs import BuildError
from hack.localcluster.cluster import ClusterError
from hack.localcluster.docker import docker_answers
from hack.localcluster.progress import repeating


def main() -> int:
    """Exit code 1 where a build fails, with the reason on standard error."""
    known = recipes()
    parser = argparse.ArgumentParser(prog="python3 -m hack.image", description=__doc__)
    parser.add_argument("command", choices=["build", "name"])
    parser.add_argument("image", nargs="*", help=f"of {', '.join(known)}")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.image) - set(known))
    if unknown:
        parser.error(f"no such image: {', '.join(unknown)}; known: {', '.join(known)}")
    log = Progress()
    cache_dir().mkdir(parents=True, exist_ok=True)
    docker = docker_answers()
    for short in arguments.image or [name for name in known if name not in BY_NAME]:
        image = known[short].image()
        if arguments.command == "build" and docker:
            try:
                known[short].docker_build(log)
            except ClusterError as error:
                print(f"image {short}: {error}", file=sys.stderr)
                return 1
        elif arguments.command == "build":
            with (cache_dir() / "image.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two checkouts share the cache
                try:
                    with repeating(log.repeat):
                        image = known[short].build(log)
                except (BuildError, ClusterError) as error:
                    print(f"image {short}: {error}", file=sys.stderr)
                    return 1
        print(f"{image.name} {'-' if docker else image.archive}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
