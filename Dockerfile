# CUDA comes with torch's own wheels: the base image needs none, and the same image runs on CPUs.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG TORCH_SPEC=torch==2.13.0
WORKDIR /src
COPY constraints.txt setup.cfg pyproject.toml README.md LICENSE ./
COPY bids_anomaly bids_anomaly
COPY workflows workflows
RUN python3 -m venv /opt/bids-anomaly \
    && /opt/bids-anomaly/bin/pip install --no-cache-dir --constraint constraints.txt "${TORCH_SPEC}" \
    && /opt/bids-anomaly/bin/pip install --no-cache-dir --constraint constraints.txt ".[validate]"

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="bids-anomaly" \
      org.opencontainers.image.description="Pseudo-healthy reconstruction and anomaly maps for BIDS datasets" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-SA-4.0"
ENV PATH=/opt/bids-anomaly/bin:$PATH \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HOME=/tmp \
    BIDS_ANOMALY_CONTAINER=bids-anomaly/bids-anomaly:0.1.0 \
    PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/bids-anomaly /opt/bids-anomaly
WORKDIR /work
USER 1000
ENTRYPOINT ["bids-anomaly"]
