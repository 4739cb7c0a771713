# CUDA comes with torch's own wheels: the base image needs none, and the same image runs on CPUs.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS python
# Not pinned: a stable release of Debian only gets fixes, and its mirrors keep the last version only.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*

FROM python AS build
# hadolint ignore=DL3008,DL3009
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
WORKDIR /src
RUN python3 -m venv /opt/bids-anomaly
ENV PATH=/opt/bids-anomaly/bin:$PATH \
    PIP_NO_CACHE_DIR=1
COPY constraints.txt setup.cfg ./
# What the package needs, in a layer of its own that a change of the code leaves as it is.
RUN python3 -c "from configparser import ConfigParser as C; c = C(); c.read('setup.cfg'); \
print(c['options']['install_requires'], c['options.extras_require']['validate'])" > needed.txt
ARG TORCH_SPEC=torch==2.13.0
RUN pip install --constraint constraints.txt "${TORCH_SPEC}" \
    && pip install --constraint constraints.txt --requirement needed.txt \
    # Headers and test programs of torch, 200 MB.
    && torch=$(echo /opt/bids-anomaly/lib/python3*/site-packages/torch) \
    && rm -rf "$torch/include" "$torch/test" "$torch"/bin/test_*

FROM build AS wheel
COPY pyproject.toml README.md LICENSE ./
COPY bids_anomaly bids_anomaly
COPY workflows workflows
RUN pip wheel --no-deps --wheel-dir /wheel .

FROM python
LABEL org.opencontainers.image.title="bids-anomaly" \
      org.opencontainers.image.description="Pseudo-healthy reconstruction and anomaly maps for BIDS datasets" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.source="https://github.com/bids-anomaly/bids-anomaly" \
      org.opencontainers.image.documentation="https://github.com/bids-anomaly/bids-anomaly/blob/main/docs/containers.md" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-SA-4.0"
# A home that exists whoever runs it. Nothing is written below /opt, where the code is compiled already.
ENV PATH=/opt/bids-anomaly/bin:$PATH \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    BIDS_ANOMALY_CONTAINER=bids-anomaly/bids-anomaly:0.2.0
COPY --from=build /opt/bids-anomaly /opt/bids-anomaly
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    pip install --no-cache-dir --no-deps --no-index --compile /wheel/*.whl
# Not the folder of the code: Python would take modules from where it is started.
WORKDIR /work
USER 1000:1000
ENTRYPOINT ["bids-anomaly"]
