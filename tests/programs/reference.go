// SPDX-License-Identifier: MIT

// The real thing: a Go program with net/http/pprof, on which the checks of the contract prove
// themselves before they judge the recorder. Prints its address and waits.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"
)

var kept [][]byte
var sum uint64

//go:noinline
func knownSpin(until time.Time) {
	for time.Now().Before(until) {
		for i := uint64(0); i < 1000; i++ {
			sum += i * i
		}
	}
}

//go:noinline
func knownLeak() {
	for i := 0; i < 1000; i++ {
		kept = append(kept, make([]byte, 10000))
	}
}

func knownWaits(n int) {
	var lock sync.Mutex
	for i := 0; i < n; i++ {
		started := make(chan bool)
		lock.Lock()
		go func() {
			started <- true
			lock.Lock()
			lock.Unlock()
			started <- true
		}()
		<-started
		time.Sleep(5 * time.Millisecond)
		lock.Unlock()
		<-started
	}
}

func work() {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("handler", "checkout")))
	for {
		knownSpin(time.Now().Add(20 * time.Millisecond))
		time.Sleep(20 * time.Millisecond)
	}
}

func main() {
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	custom := pprof.NewProfile("my/custom.prof")
	for i := 0; i < 7; i++ {
		custom.Add(i, 0)
	}
	custom.Remove(3)
	knownLeak()
	knownWaits(10)
	for i := 0; i < 5; i++ {
		go func() { select {} }()
	}
	go work()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	os.Exit(map[bool]int{true: 0, false: 1}[http.Serve(listener, nil) == nil])
}
