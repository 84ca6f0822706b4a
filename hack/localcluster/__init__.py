"""A local Kubernetes cluster: the user's own, kind, or one real node made of Go modules."""
