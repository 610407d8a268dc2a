# One image: the runtime lock and the wheel of proxy/, nothing else. Runs as a numeric user on a read-only root.
#
#   docker run --read-only -p 802:802 \
#     -v ./site:/etc/bulkhead:ro -v bulkhead-state:/var/lib/bulkhead --tmpfs /run/bulkhead bulkhead
#
# The site's bulkhead.yaml says `state: /var/lib/bulkhead`. Ports below 1024 need no capability where the container
# engine sets net.ipv4.ip_unprivileged_port_start to 0 (Docker does).

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/bulkhead \
    && pip --python /opt/bulkhead/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY proxy ./proxy
# The locked hatchling builds the wheel: build isolation would fetch another one past the hashes.
RUN pip --python /opt/bulkhead/bin/python install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="bulkhead" \
      org.opencontainers.image.description="Gateway between a plant's machines and everything else" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/bulkhead /opt/bulkhead
ENV PATH=/opt/bulkhead/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /etc/bulkhead
VOLUME ["/etc/bulkhead", "/var/lib/bulkhead", "/run/bulkhead"]
EXPOSE 802
# Numeric, so that an orchestrator can see that it is not root.
USER 10001:10001
# The admin listener's default address. A site that moves it overrides this check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["python", "-c", \
    "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9464, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["bulkhead", "run"]
