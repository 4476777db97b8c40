# One image for every process: the web server by default, the others by their command (compose.yaml names them).
# `--target lambda` makes the one that deploy/template.yaml runs; `--target sqs` an SQS for one machine without AWS.

FROM python:3.12-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/venv/bin:$PATH
WORKDIR /app

# Here and below: pip installs from outside, and is in no environment that ships.
FROM base AS build
RUN python -m venv --without-pip /opt/venv
COPY requirements.txt ./
RUN pip --python /opt/venv/bin/python install --require-hashes -r requirements.txt
COPY . .
# Nothing connects with these; settings want them to be there.
RUN HUNTAZE_ENV_FILES=false DATABASE_URL=postgres://unused SECRET_KEY=unused python manage.py collectstatic --noinput \
    && python -m compileall -q .

FROM base AS build-lambda
RUN python -m venv --without-pip /opt/venv
COPY requirements-lambda.txt ./
RUN pip --python /opt/venv/bin/python install --require-hashes -r requirements-lambda.txt

FROM base AS build-sqs
RUN python -m venv --without-pip /opt/venv
COPY requirements-local.txt ./
RUN pip --python /opt/venv/bin/python install --require-hashes -r requirements-local.txt

FROM base AS unprivileged
RUN useradd --uid 10001 --home-dir /app --shell /usr/sbin/nologin huntaze
ENV HUNTAZE_ENV_FILES=false

FROM unprivileged AS lambda
COPY --from=build-lambda /opt/venv /opt/venv
COPY --from=build /app /app
USER 10001
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["messaging.lambda_handler.handler"]

FROM unprivileged AS sqs
COPY --from=build-sqs /opt/venv /opt/venv
COPY --from=build /app/huntaze /app/huntaze
RUN install --directory --owner huntaze /data
USER 10001
ENV BIND_HOST=0.0.0.0 GATEWAY_PORT=4566 SERVICES=sqs PERSIST_STATE=1 STATE_DIR=/data TMPDIR=/data LOG_LEVEL=ERROR \
    SFTP_ENABLED=0 IOT_MTLS_ENABLED=0 DOCKER_HOST=unix:///nowhere
VOLUME /data
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:4566/_ministack/health', timeout=2)"]
CMD ["python", "-m", "huntaze.local.sqs_server"]

FROM unprivileged AS product
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
USER 10001
EXPOSE 8000
# The database is asked too: a web server that cannot read it serves nobody.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# WEB_CONCURRENCY makes it several processes, which count requests in one folder, empty at the start.
# An open stream ends after 3 s, so that a new version takes over at once. An idle connection is kept for longer than
# the proxy keeps it (Caddy two minutes, AWS's balancer one): else a request may meet its end and fail.
ENV PROMETHEUS_MULTIPROC_DIR=/tmp/huntaze-metrics
CMD ["sh", "-c", "rm -rf \"$PROMETHEUS_MULTIPROC_DIR\" && exec uvicorn huntaze.asgi:application \
    --host 0.0.0.0 --port 8000 --no-access-log --log-level warning --lifespan off \
    --timeout-graceful-shutdown 3 --timeout-keep-alive 150"]
