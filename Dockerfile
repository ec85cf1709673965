# One image for all of Keel: docker build -t keel .
# Pick what it carries: docker build --build-arg EXTRAS=cpu,postgres -t keel .
FROM python:3.11-slim-bookworm AS build
ARG EXTRAS=cpu,postgres,redis,multilingual,otel
# The index of torch's builds without CUDA, as pytorch.org names it: they spare gigabytes that CPUs have no use for.
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/keel
ENV PATH=/opt/keel/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
RUN pip install --constraint constraints.txt ${TORCH_INDEX:+--index-url ${TORCH_INDEX}} torch
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY apps apps
COPY recipes recipes
COPY data data
RUN pip install --constraint constraints.txt ".[${EXTRAS}]"

FROM python:3.11-slim-bookworm
# LightGBM and torch share the work by OpenMP. Its version is Debian's, whose security updates a pin would keep out.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 keel && install --directory --owner keel --group keel /var/lib/keel
COPY --from=build /opt/keel /opt/keel
ENV PATH=/opt/keel/bin:$PATH KEEL_HOME=/var/lib/keel PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp
USER 10001
WORKDIR /var/lib/keel
VOLUME /var/lib/keel
EXPOSE 8000
# Ready is who loads nothing any more and has not failed; models that are missing do not count, for the first are trained
# in this container.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=4 \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["keel"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
