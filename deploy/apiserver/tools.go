//go:build tools

// Package tools names the programs of which `make dry-run` builds a Kubernetes API server.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
