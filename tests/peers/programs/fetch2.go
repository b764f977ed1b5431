// Go's own HTTP/2: fetch2 GATE URL CA posts the same megabyte on twenty streams of one connection.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

func main() {
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(os.Args[3])
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		panic("no certificate")
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, os.Args[1])
	}
	client := http.Client{Transport: &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
	}}
	body := bytes.Repeat([]byte("x"), 1<<20)
	var all sync.WaitGroup
	for n := range 20 {
		all.Add(1)
		go func() {
			defer all.Done()
			answer, err := client.Post(fmt.Sprintf("%s/%d", os.Args[2], n), "text/plain", bytes.NewReader(body))
			if err != nil {
				fmt.Println(err)
				return
			}
			defer answer.Body.Close()
			got, err := io.ReadAll(answer.Body)
			fmt.Println(answer.Proto, answer.StatusCode, string(got), err)
		}()
	}
	all.Wait()
}
