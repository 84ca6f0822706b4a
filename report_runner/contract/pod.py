"""Paths and environment variables inside a run's pod, which the operator builds from them."""

from __future__ import annotations

DEFINITION_DIR = "/etc/report/definition"
DEFINITION_KEY = "definition.json"
DEFINITION_PATH = f"{DEFINITION_DIR}/{DEFINITION_KEY}"

# One directory per Secret, one file per key.
SECRETS_DIR = "/etc/report/secrets"

OUTPUT_DIR = "/var/adaf/reports"
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_LOG_LIMIT = 4096  # bytes; the kubelet cuts what is beyond

# Replaces DEFINITION_PATH, for tests and laptops.
ENV_DEFINITION = "REPORT_DEFINITION"

# SHA-256 of the definition's bytes, in hex. A value of the pod's own spec: whoever may replace the
# ConfigMap cannot change it.
ENV_DEFINITION_SHA256 = "REPORT_DEFINITION_SHA256"

# Environment, filled by the downward API from annotations that are stamped at admission.
ENV_SLOT = "REPORT_SLOT"  # RFC 3339, UTC
ENV_REPORT_DATE = "REPORT_DATE"  # YYYY-MM-DD
ENV_DUE_AT = "REPORT_DUE_AT"  # RFC 3339, UTC: the slot, or when a calendar moved it to
ENV_RUN_ID = "REPORT_RUN_ID"
ENV_ATTEMPT = "REPORT_ATTEMPT"  # of the slot: 1, and more only for an explicit retry
# Of a run that was asked for with parameters of its own: a JSON object by name.
ENV_PARAMETERS = "REPORT_PARAMETERS"
# To whom it is sent again (contract.resend); empty for most runs.
ENV_RESEND = "REPORT_RESEND"
ENV_POD_NAME = "REPORT_POD_NAME"
ENV_NAMESPACE = "REPORT_NAMESPACE"

# Where a run may connect to beside public addresses: entries of contract.egress with commas between
# them. A value of the pod's own spec, from the operator's configuration; no author writes it.
ENV_EGRESS_ALLOW = "REPORT_EGRESS_ALLOW"
# Values of the pod's own spec too, where the operator's configuration is not as usual.
ENV_LOG_FORMAT = "REPORT_LOG_FORMAT"  # json or text
ENV_LOG_LEVEL = "REPORT_LOG_LEVEL"  # debug, info, warning or error
ENV_OTLP_ENDPOINT = "REPORT_OTLP_ENDPOINT"  # base URL of a collector of traces
# Set by the kubelet in every pod.
ENV_API_SERVER = "KUBERNETES_SERVICE_HOST"
