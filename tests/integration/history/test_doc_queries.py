"""The queries of the documentation, on the schema as the operator makes it."""

from __future__ import annotations

from typing import LiteralString, cast

import pytest

from report_operator.adapters.postgres.writer import HistoryWriter
from tests.support.docs import Block, blocks


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
async def test_query_of_the_docs_has_columns(block: Block, writer: HistoryWriter) -> None:
    async with writer.database.transaction() as connection:
        answer = await connection.execute(cast(LiteralString, block.text))
        assert answer.description
