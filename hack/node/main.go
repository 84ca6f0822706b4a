// Command node is every program of a single Kubernetes node in one binary: the first argument says
// which one to be, the rest are that program's own arguments. Under another name than its own, as a
// copy or by a link, it is the program of that name.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	_ "time/tzdata" // time zones of CronJobs, wherever the host keeps its own

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/template"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Only the program that is asked for may be constructed: each of the five Kubernetes constructors
// installs the signal handler, and the second one to do so panics.
var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

var own = map[string]func(arguments []string) error{
	"pki":         pki,
	"forward":     forward,
	"provisioner": provision,
}

func main() {
	name := filepath.Base(os.Args[0])
	if !known(name) {
		if len(os.Args) < 2 {
			log.Fatal("say which program of a node to be: etcd, kube-apiserver, kubelet, ...")
		}
		name = os.Args[1]
		os.Args = append([]string{filepath.Base(name)}, os.Args[2:]...)
	}
	if construct, found := components[name]; found {
		os.Exit(cli.Run(construct()))
	}
	if run, found := own[name]; found {
		if err := run(os.Args[1:]); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		return
	}
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "coredns":
		// The order in which the plugins of one server block see a query.
		dnsserver.Directives = []string{
			"reload", "bind", "health", "ready", "prometheus", "errors",
			"cache", "template", "loadbalance", "kubernetes", "loop", "forward",
		}
		coremain.Run()
	default:
		fmt.Fprintf(os.Stderr, "node: no such program: %s\n", name)
		os.Exit(64)
	}
}

func known(name string) bool {
	_, found := components[name]
	return found || name == "etcd" || name == "coredns"
}
