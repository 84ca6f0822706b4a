package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

type dialed struct {
	connection net.Conn
	err        error
}

// forward listens on an address of the host and connects each client to an address inside a network
// namespace. Arguments: the listening address, the namespace's file, the address inside.
func forward(arguments []string) error {
	if len(arguments) != 3 {
		return errors.New("wanted: LISTEN NAMESPACE-FILE TARGET")
	}
	listener, err := net.Listen("tcp", arguments[0])
	if err != nil {
		return err
	}
	requests, err := dialInside(arguments[1], arguments[2])
	if err != nil {
		return err
	}
	log.Printf("forwarding %s to %s in %s", arguments[0], arguments[2], arguments[1])
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			answer := make(chan dialed, 1)
			requests <- answer
			target := <-answer
			if target.err != nil {
				log.Print(target.err)
				client.Close()
				return
			}
			join(client.(*net.TCPConn), target.connection.(*net.TCPConn))
		}()
	}
}

// dialInside keeps one thread in the namespace for good: a socket belongs to the namespace of the
// thread that opened it, wherever it is used afterwards.
func dialInside(namespace, target string) (chan<- chan dialed, error) {
	file, err := os.Open(namespace)
	if err != nil {
		return nil, err
	}
	requests := make(chan chan dialed)
	entered := make(chan error)
	go func() {
		runtime.LockOSThread()
		entered <- unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		for answer := range requests {
			connection, err := net.DialTimeout("tcp", target, 5*time.Second)
			answer <- dialed{connection, err}
		}
	}()
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("entering %s: %w", namespace, err)
	}
	return requests, nil
}

func join(one, other *net.TCPConn) {
	done := make(chan struct{}, 2)
	pipe := func(to, from *net.TCPConn) {
		_, _ = io.Copy(to, from)
		_ = to.CloseWrite() // a half-closed stream still brings the other half's last bytes
		done <- struct{}{}
	}
	go pipe(one, other)
	go pipe(other, one)
	<-done
	<-done
	one.Close()
	other.Close()
}
