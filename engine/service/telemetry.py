"""Telemetry: OpenTelemetry's spans of requests and of inference; without the extra `otel`, or unasked, nothing.

Asked for by OpenTelemetry's own variables: `OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 keel serve`. Spans name
routes, models and counts; never a path, a query or a text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from engine.errors import InputError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

ASKED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracer: Tracer | None = None
_NOTHING = nullcontext()


def configure(provider: TracerProvider | None = None) -> None:
    """Send spans to the provider, or else to the collector that the environment names, if it names one.

    Raises:
        InputError: a collector is named, but OpenTelemetry is not installed.
    """
    global _tracer
    if provider is None and any(os.environ.get(name) for name in ASKED):
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError:
            raise InputError(f"{ASKED[0]} is set, but not OpenTelemetry: install the extra otel, or unset it") from None
        name = os.environ.get("OTEL_SERVICE_NAME", "keel")
        provider = TracerProvider(resource=Resource.create({"service.name": name}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("keel") if provider else None


def span(
    name: str, headers: Callable[[], Mapping[str, str]] | None = None, **attributes: str | int
) -> AbstractContextManager[Any]:
    """A span about what is done inside; None where nobody listens.

    Args:
        headers: gives those of a request, which may say whose part the span is (traceparent).
    """
    if _tracer is None:
        return _NOTHING
    from opentelemetry.propagate import extract

    context = extract(headers()) if headers is not None else None
    return _tracer.start_as_current_span(name, context, attributes=attributes)
