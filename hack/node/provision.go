package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// directories makes each volume a directory of the node. A storage class with the parameter
// `medium: memory` gets a tmpfs of just the size that was asked for: such a volume can be full.
type directories struct {
	root string
	node string
}

func (d directories) Provision(
	_ context.Context, options controller.ProvisionOptions,
) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	path := filepath.Join(d.root, options.PVName)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	size := options.PVC.Spec.Resources.Requests[v1.ResourceStorage]
	if options.StorageClass.Parameters["medium"] == "memory" {
		data := fmt.Sprintf("size=%d,mode=0777", size.Value())
		if err := unix.Mount("tmpfs", path, "tmpfs", 0, data); err != nil {
			return nil, controller.ProvisioningFinished, fmt.Errorf("mounting %s: %w", path, err)
		}
	}
	if err := os.Chmod(path, 0o777); err != nil { // whatever the umask was: pods are not root
		return nil, controller.ProvisioningFinished, err
	}
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: size},
			MountOptions:                  options.StorageClass.MountOptions,
			// Unlike hostPath, a local volume obeys a pod's fsGroup, as a cloud's volume does.
			PersistentVolumeSource: v1.PersistentVolumeSource{
				Local: &v1.LocalVolumeSource{Path: path},
			},
			NodeAffinity: d.onThisNode(),
		},
	}, controller.ProvisioningFinished, nil
}

func (d directories) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	path := filepath.Join(d.root, volume.Name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) &&
		!errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting %s: %w", path, err)
	}
	return os.RemoveAll(path)
}

// SupportsBlock is what the library asks before it tries a raw block volume.
func (d directories) SupportsBlock(context.Context) bool { return false }

func (d directories) onThisNode() *v1.VolumeNodeAffinity {
	return &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{
		NodeSelectorTerms: []v1.NodeSelectorTerm{{
			MatchExpressions: []v1.NodeSelectorRequirement{{
				Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{d.node},
			}},
		}},
	}}
}

// provision serves the storage classes whose provisioner is local/directory.
func provision(arguments []string) error {
	flags := flag.NewFlagSet("provisioner", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server")
	root := flags.String("dir", "", "where the volumes' directories go")
	node := flags.String("node", "", "name of the node")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx = klog.NewContext(ctx, klog.Background())
	controller.NewProvisionController(
		ctx, client, "local/directory", directories{*root, *node},
		controller.LeaderElection(false),
	).Run(ctx)
	return nil
}
