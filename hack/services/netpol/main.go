// Command netpol enforces the NetworkPolicies of the local node: the engine of
// sigs.k8s.io/kube-network-policies, which asks of each new connection whether it may be. Which
// packets the kernel asks about is said by rules of hack/testbed/policy_engine.py: the engine's own
// need CONFIG_NFT_QUEUE, which not every kernel has, and spare what goes to the node itself.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os/signal"
	"syscall"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	node := flag.String("node", "", "name of the node")
	queue := flag.Int("queue", 100, "number of the kernel's queue")
	klog.InitFlags(nil)
	flag.Parse()
	if err := enforce(*kubeconfig, *node, *queue); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func enforce(kubeconfig, node string, queue int) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	factory := informers.NewSharedInformerFactory(client, 0)
	// NRI stays on, although this containerd has none: switched off, version 0.8.0 reads through a
	// nil pointer for an address that is no pod's.
	engine, err := networkpolicy.NewController(
		client,
		factory.Networking().V1().NetworkPolicies(),
		factory.Core().V1().Namespaces(),
		factory.Core().V1().Pods(),
		nil, nil, nil, nil,
		networkpolicy.Config{NodeName: node, QueueID: queue},
	)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	return engine.Run(ctx)
}
