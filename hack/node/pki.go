package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const validity = 10 * 365 * 24 * time.Hour // a local cluster is made anew long before

type leaf struct {
	file         string
	commonName   string
	organization []string
	hosts        []string // none: a client's certificate
}

type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// pki writes one certificate authority, every certificate of a one-node cluster and the service
// account key into a directory, as PEM files NAME.crt and NAME.key.
func pki(arguments []string) error {
	flags := flag.NewFlagSet("pki", flag.ContinueOnError)
	directory := flags.String("dir", "", "where the files go")
	node := flags.String("node", "", "name of the node")
	hosts := flags.String("hosts", "", "names and addresses of the API server, with commas between")
	nodeIP := flags.String("node-ip", "", "address of the node")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if err := os.MkdirAll(*directory, 0o700); err != nil {
		return err
	}
	ca, err := newAuthority(filepath.Join(*directory, "ca"))
	if err != nil {
		return err
	}
	serviceAccounts, err := newKey()
	if err != nil {
		return err
	}
	if err := writeKey(filepath.Join(*directory, "service-account.key"), serviceAccounts); err != nil {
		return err
	}
	masters := []string{"system:masters"}
	for _, one := range []leaf{
		{"kube-apiserver", "kube-apiserver", nil, strings.Split(*hosts, ",")},
		{"kubelet", *node, nil, []string{*node, *nodeIP}},
		{"node", "system:node:" + *node, []string{"system:nodes"}, nil},
		{"kubelet-client", "kube-apiserver-kubelet-client", masters, nil},
		{"admin", "kubernetes-admin", masters, nil},
		{"kube-controller-manager", "system:kube-controller-manager", nil, nil},
		{"kube-scheduler", "system:kube-scheduler", nil, nil},
		{"kube-proxy", "system:kube-proxy", nil, nil},
		{"coredns", "system:coredns", nil, nil},
		{"provisioner", "system:volume-provisioner", nil, nil},
	} {
		if err := ca.issue(*directory, one); err != nil {
			return fmt.Errorf("%s: %w", one.file, err)
		}
	}
	return nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func newAuthority(path string) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := certificate(leaf{commonName: "local-cluster-ca"})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage |= x509.KeyUsageCertSign
	template.ExtKeyUsage = nil // it would bind what the authority signs
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(signed)
	if err != nil {
		return nil, err
	}
	if err := writeKey(path+".key", key); err != nil {
		return nil, err
	}
	return &authority{parsed, key}, writePEM(path+".crt", "CERTIFICATE", signed)
}

func (ca *authority) issue(directory string, one leaf) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	signed, err := x509.CreateCertificate(
		rand.Reader, certificate(one), ca.certificate, key.Public(), ca.key)
	if err != nil {
		return err
	}
	if err := writeKey(filepath.Join(directory, one.file+".key"), key); err != nil {
		return err
	}
	return writePEM(filepath.Join(directory, one.file+".crt"), "CERTIFICATE", signed)
}

func certificate(one leaf) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // no randomness: nothing here can go on
	}
	made := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: one.commonName, Organization: one.organization},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, host := range one.hosts {
		made.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if address := net.ParseIP(host); address != nil {
			made.IPAddresses = append(made.IPAddresses, address)
		} else {
			made.DNSNames = append(made.DNSNames, host)
		}
	}
	return made
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", encoded)
}

func writePEM(path, kind string, content []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}
