# The hookstream command on a slim Python, run by a user who owns nothing.
#
# Two stages: the first has the build tools and makes a wheel, the second has the locked runtime
# dependencies, each checked against its hash, and that wheel.

FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock requirements-runtime.lock ./
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
RUN python -m venv /hookstream \
 && /hookstream/bin/pip install --no-cache-dir --require-hashes --requirement requirements-runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /hookstream/bin/pip install --no-cache-dir --no-deps /wheel/*.whl

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin hookstream
COPY --from=build /hookstream /hookstream
ENV PATH=/hookstream/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /work
EXPOSE 9464
# Liveness only: a worker without its broker is alive and waits.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", \
  "import urllib.request as r; r.urlopen('http://127.0.0.1:9464/healthz', timeout=2)"]
# SIGTERM drains (worker.drain_deadline, 25 s): give the container longer than that to stop.
STOPSIGNAL SIGTERM
ENTRYPOINT ["hookstream"]
CMD ["worker"]
