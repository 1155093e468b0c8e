# One image for processors and NVIDIA graphics cards: torch's packages bring CUDA, the host the driver.
#   docker build -t recorte .
FROM python:3.13-slim

# What changes least comes first: a change of the code fetches no package again.
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt

COPY app.py LICENSE README.md ./
COPY assets ./assets
COPY db ./db
COPY pipeline ./pipeline
COPY ui ./ui
RUN python -m compileall -q app.py db pipeline ui \
    && useradd --uid 10001 --create-home recorte \
    && install -d -o recorte -g recorte /data /weights

# The image itself may be mounted read-only: what is written goes to the two volumes and to /tmp.
ENV RECORTE_HOME=/data \
    RECORTE_WEIGHTS=/weights \
    RECORTE_HOST=0.0.0.0 \
    RECORTE_PORT=7860 \
    RECORTE_USERS=1 \
    RECORTE_LOG=json \
    XDG_CACHE_HOME=/data/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER recorte
VOLUME ["/data", "/weights"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
ENTRYPOINT ["python", "app.py"]
