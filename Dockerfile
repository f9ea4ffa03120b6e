# One image for every service: the command says which one runs. The binaries
# need glibc, because the embedded engine is loaded as a shared library.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/ ./services/...

FROM debian:bookworm-slim
RUN useradd --system --uid 7480 --home-dir /var/lib/lethe --create-home lethe
COPY --from=build /out/ /usr/local/bin/
USER lethe
WORKDIR /var/lib/lethe
ENTRYPOINT []
CMD ["lethe", "help"]
