"""Exports spans by OTLP over HTTP: binary protobuf in the official message classes.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp. The SDK is not used: its exporter takes
0.34 s and 25 MiB in the pod of a run, these classes 0.08 s and 4 MiB, and only where traces are on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from report_runner.contract.traces import Span, Value
from report_runner.outbox import Outbox

TRACES_PATH = "/v1/traces"
SCOPE = "adaf-report-scheduler"


def span_outbox(endpoint: str, resource: Mapping[str, Value]) -> Outbox[Span]:
    """`endpoint` is the collector's base URL; `resource` describes this process."""
    return Outbox(
        url=endpoint.rstrip("/") + TRACES_PATH,
        what="spans of traces",
        content_type="application/x-protobuf",
        encode=partial(encode, resource),
    )


def encode(resource: Mapping[str, Value], spans: Sequence[Span]) -> list[bytes]:
    """One ExportTraceServiceRequest."""
    # Imported by the thread that sends, and only where traces are on.
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire
    from opentelemetry.proto.trace.v1.trace_pb2 import Status

    def attributes(given: Mapping[str, Value]) -> list[KeyValue]:
        return [KeyValue(key=key, value=_value(value)) for key, value in given.items()]

    def _value(value: Value) -> AnyValue:
        match value:
            case bool():
                return AnyValue(bool_value=value)
            case int():
                return AnyValue(int_value=value)
            case float():
                return AnyValue(double_value=value)
        return AnyValue(string_value=value)

    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(attributes(resource))
    scope = group.scope_spans.add()
    scope.scope.name = SCOPE
    for span in spans:
        wire = scope.spans.add(
            name=span.name,
            trace_id=bytes.fromhex(span.trace),
            span_id=bytes.fromhex(span.id),
            parent_span_id=bytes.fromhex(span.parent),
            kind=Wire.SPAN_KIND_INTERNAL,
            start_time_unix_nano=span.start,
            end_time_unix_nano=max(span.end, span.start),
            attributes=attributes(span.attributes),
        )
        for link in span.links:
            wire.links.add(trace_id=bytes.fromhex(link.trace), span_id=bytes.fromhex(link.span))
        if span.failed:
            wire.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=span.failed))
    return [request.SerializeToString()]
