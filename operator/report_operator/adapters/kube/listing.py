"""Lists in pages: as many objects at a time as fit into memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TypedDict

from report_operator.adapters.kube.connection import (
    JSON,
    AnswerTooLargeError,
    Body,
    Connection,
    decode_body,
)

METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

PAGE = 500  # objects in one page
# Limit of a page of several objects: a MiB of JSON may take thirty in memory, and somebody may have
# objects of 1.5 MiB made by the hundred. A larger page is requested again with fewer objects.
PAGE_BYTES = 8 * 1024 * 1024


class ListOptions(TypedDict, total=False):
    """Selectors, and whether only the metadata of each object is needed."""

    labels: str
    fields: str
    metadata_only: bool


async def pages(
    connection: Connection, path: str, options: ListOptions
) -> AsyncIterator[tuple[str, Iterator[Body]]]:
    """At least one page: the version of the whole list, and some objects."""
    limit = PAGE
    query: dict[str, str] = {}
    if labels := options.get("labels"):
        query["labelSelector"] = labels
    if fields := options.get("fields"):
        query["fieldSelector"] = fields
    accept = METADATA_ONLY if options.get("metadata_only") else JSON
    while True:
        query["limit"] = str(limit)
        try:
            raw = await connection.send(
                "GET",
                path,
                query,
                accept=accept,
                max_bytes=PAGE_BYTES if limit > 1 else None,
            )
        except AnswerTooLargeError:
            limit = max(limit // 4, 1)
            continue
        page = await decode_body(raw)
        # The items of a list have no type meta; events of a watch do.
        type_meta = {"apiVersion": page["apiVersion"], "kind": page["kind"].removesuffix("List")}
        meta = page["metadata"]
        yield meta["resourceVersion"], (type_meta | item for item in page.get("items") or ())
        if not meta.get("continue"):
            return
        query["continue"] = meta["continue"]
        limit = min(2 * limit, PAGE)
