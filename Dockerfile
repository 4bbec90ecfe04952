# The locked environment and the workflow. Never built by its authors: no container engine was at hand.
#   docker build -t stilts .                                  CPU; with a GPU: --build-arg TORCH=cu130
#   docker run --rm -v "$PWD/study:/study" stilts -n          what follows the image's name goes to Snakemake
FROM python:3.11-slim

ARG TORCH=cpu
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1

# The environment first: an edit of the workflow does not install it again.
WORKDIR /stilts
COPY envs/ envs/
RUN python3 envs/install.py --torch "$TORCH"
COPY . .
ENV PATH="/stilts/.venv/bin:$PATH"

# Results and Snakemake's records belong to the folder that is mounted here.
WORKDIR /study
ENTRYPOINT ["snakemake", "--snakefile", "/stilts/Snakefile", "--workflow-profile", "/stilts/profiles/default"]
