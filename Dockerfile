# The hookstream command on a slim Python, run by a user who owns nothing.
#
# Four stages: tools has the locked build tools, native has Rust and makes the accelerator's wheel, build makes that
# of hookstream. The last has the locked runtime dependencies, each checked against its hash, and both wheels.

FROM python:3.13-slim-bookworm AS tools
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock

# The C library is that of the last stage. maturin is one program, and needs no Python for a wheel that fits all of them.
FROM rust:1-slim-bookworm AS native
WORKDIR /build
COPY --from=tools /tools/bin/maturin /usr/local/bin/maturin
COPY native ./native
RUN maturin build --release --manifest-path native/Cargo.toml --out /wheel

FROM tools AS build
COPY requirements-runtime.lock ./
RUN python -m venv /hookstream \
 && /hookstream/bin/pip install --no-cache-dir --require-hashes --requirement requirements-runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY --from=native /wheel /wheel
# The last command but one fails if the accelerator is not that of this release. The last compiles the pages'
# templates, beside Python's bytecode: the user of the last stage may read them, and could not keep them.
RUN /tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /hookstream/bin/pip install --no-cache-dir --no-index --no-deps /wheel/*.whl \
 && HOOKSTREAM_NATIVE=1 /hookstream/bin/python -c \
    "from hookstream.adapters.avro.accelerator import implementation as i; print(i().because)" \
 && /hookstream/bin/python -c "from hookstream.entry.pages.rendering import templates; templates()"

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
