# kubectl and Helm, and kind, for a machine without them: compiled for its system and processor.
# The context is hack/node, whose go.mod has the version of Kubernetes and its checksums.
ARG GO=golang
FROM ${GO} AS go
ARG GOOS
ARG GOARCH
ENV CGO_ENABLED=0
WORKDIR /src

FROM go AS kind
ARG KIND
# For another system than the container's, `go install` writes into a directory of that name.
RUN go install -trimpath -ldflags "-s -w" sigs.k8s.io/kind@${KIND} \
 && mkdir /out && find "$(go env GOPATH)/bin" -type f -exec cp {} /out/ \;
CMD ["ls", "/out"]

FROM go AS clients
ARG KUBERNETES
ARG HELM
COPY go.mod go.sum ./
RUN go build -trimpath -o /out/ \
      -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=${KUBERNETES}" \
      k8s.io/kubernetes/cmd/kubectl
RUN go install -trimpath -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=${HELM}" \
      helm.sh/helm/v4/cmd/helm@${HELM} \
 && find "$(go env GOPATH)/bin" -type f -exec cp {} /out/ \;
CMD ["ls", "/out"]
