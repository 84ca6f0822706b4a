# One image for the operator (report-scheduler) and for the pods of runs (report-generator).
#
#   docker build --tag adaf-report-scheduler .
#
# Where no Docker engine answers, `make image` runs the same steps, with the same scripts, on a
# base made by mmdebstrap (see hack/image), and reads ENV, USER, WORKDIR, CMD and LABEL from here.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS system
COPY hack/image/packages.txt hack/image/install-system /tmp/build/
RUN /tmp/build/install-system /tmp/build/packages.txt

FROM system AS dependencies
COPY hack/image/install-tools requirements/build.txt /tmp/build/
RUN /tmp/build/install-tools /tmp/build/build.txt
COPY hack/image/install-dependencies requirements/image.txt /tmp/build/
RUN /tmp/build/install-dependencies /tmp/build/image.txt

FROM dependencies AS code
COPY hack/image/install-code /tmp/build/
COPY pyproject.toml README.md LICENSE /tmp/source/
COPY operator /tmp/source/operator
COPY report_runner /tmp/source/report_runner
RUN /tmp/build/install-code /tmp/source

FROM system
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=code /opt/code/ /
LABEL org.opencontainers.image.title="adaf-report-scheduler"
LABEL org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin
# The root file system is read-only in the cluster; all that a run may write to is /tmp.
ENV HOME=/tmp
ENV XDG_CACHE_HOME=/tmp/.cache
ENV LANG=C.UTF-8
ENV PYTHONDONTWRITEBYTECODE=1
ENV PYTHONUNBUFFERED=1
ENV PYTHONNOUSERSITE=1
# Any other user, of whatever group, works as well: nothing belongs to this one. Libraries that ask
# for the user's name (kopf, asyncssh) find it here: another user has no line in /etc/passwd.
ENV USER=report-scheduler
USER 65532:65532
WORKDIR /tmp
CMD ["report-scheduler", "--help"]
