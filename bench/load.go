// What bench/inspected.py measures with: an HTTPS server, and a client that takes orders as lines and answers with JSON.
//
//	load serve ADDRESS CERTIFICATE KEY    says "ready"; GET /N gives N bytes, POST is read whole, /events a stream
//	load ask ADDRESS                      orders: get|post CLIENTS COUNT BYTES, connect CLIENTS COUNT, bulk BYTES, events COUNT
//
// In Go, whose TLS and HTTP cost a fraction of what is measured, and which is not what any of the ways is written in.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An event is sent this long after the one before it: nothing is in flight then.
const eventEvery = 3 * time.Millisecond

func serve(address, certificate, key string) {
	block := bytes.Repeat([]byte("sluice! "), 8192)
	handle := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			events(w, r)
			return
		}
		if r.Method == http.MethodPost {
			io.Copy(io.Discard, r.Body)
		}
		size, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.Header().Set("Content-Length", strconv.Itoa(size))
		for size > 0 {
			n, err := w.Write(block[:min(size, len(block))])
			if err != nil {
				return
			}
			size -= n
		}
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	must(err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	listener, err := tls.Listen("tcp", address, config)
	must(err)
	fmt.Println("ready")
	server := http.Server{Handler: http.HandlerFunc(handle), ErrorLog: log.New(io.Discard, "", 0)}
	must(server.Serve(listener))
}

func events(w http.ResponseWriter, r *http.Request) {
	count, _ := strconv.Atoi(r.URL.RawQuery)
	w.Header().Set("Content-Type", "text/event-stream")
	for range count {
		time.Sleep(eventEvery)
		fmt.Fprintf(w, "data: %d\n\n", time.Now().UnixNano())
		w.(http.Flusher).Flush()
	}
}

func client() *http.Client {
	config := &tls.Config{NextProtos: []string{"http/1.1"}}
	if file := os.Getenv("CAFILE"); file != "" {
		pem, err := os.ReadFile(file)
		must(err)
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(pem)
	}
	transport := &http.Transport{
		TLSClientConfig: config,
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConns:    1,
	}
	if proxy := os.Getenv("PROXY"); proxy != "" {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: proxy})
	}
	return &http.Client{Transport: transport}
}

// ask makes one request, and gives how many bytes came.
func ask(c *http.Client, method, to string, size int) int64 {
	var body io.Reader
	if method == http.MethodPost {
		body = bytes.NewReader(make([]byte, size))
		size = 0
	}
	request, err := http.NewRequest(method, fmt.Sprintf("%s/%d", to, size), body)
	must(err)
	response, err := c.Do(request)
	must(err)
	n, err := io.Copy(io.Discard, response.Body)
	must(err)
	response.Body.Close()
	if response.StatusCode != 200 {
		log.Fatalf("status %d", response.StatusCode)
	}
	return n
}

// many has each of `clients` do `work` until it was done `count` times, and gives what all of them took.
func many(clients, count int, begin func() func()) map[string]float64 {
	took := make([][]time.Duration, clients)
	var group sync.WaitGroup
	works := make([]func(), clients)
	for i := range works {
		works[i] = begin()
	}
	begun := time.Now()
	for i, work := range works {
		group.Add(1)
		go func() {
			defer group.Done()
			for range count / clients {
				at := time.Now()
				work()
				took[i] = append(took[i], time.Since(at))
			}
		}()
	}
	group.Wait()
	seconds := time.Since(begun).Seconds()
	var all []time.Duration
	for _, some := range took {
		all = append(all, some...)
	}
	return figures(all, seconds)
}

func figures(all []time.Duration, seconds float64) map[string]float64 {
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	ms := func(part int) float64 { return float64(all[len(all)*part/100].Nanoseconds()) / 1e6 }
	return map[string]float64{
		"count": float64(len(all)), "seconds": seconds, "p50": ms(50), "p99": ms(99),
	}
}

func order(to string, words []string) map[string]float64 {
	numbers := make([]int, 0, 3)
	for _, word := range words[1:] {
		n, err := strconv.Atoi(word)
		must(err)
		numbers = append(numbers, n)
	}
	switch words[0] {
	case "get", "post":
		method := strings.ToUpper(words[0])
		return many(numbers[0], numbers[1], func() func() {
			c := client()
			ask(c, method, to, numbers[2]) // the connection is there, and its certificate made
			return func() { ask(c, method, to, numbers[2]) }
		})
	case "connect":
		return many(numbers[0], numbers[1], func() func() {
			return func() {
				c := client()
				ask(c, http.MethodGet, to, 1)
				c.CloseIdleConnections()
			}
		})
	case "bulk":
		c := client()
		ask(c, http.MethodGet, to, 1)
		begun := time.Now()
		n := ask(c, http.MethodGet, to, numbers[0])
		return map[string]float64{"bytes": float64(n), "seconds": time.Since(begun).Seconds()}
	case "events":
		return listen(to, numbers[0])
	}
	log.Fatalf("no such order: %v", words)
	return nil
}

// listen gives how late the events of one stream came.
func listen(to string, count int) map[string]float64 {
	response, err := client().Get(fmt.Sprintf("%s/events?%d", to, count))
	must(err)
	defer response.Body.Close()
	var late []time.Duration
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		text, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		sent, err := strconv.ParseInt(text, 10, 64)
		must(err)
		late = append(late, time.Duration(time.Now().UnixNano()-sent))
	}
	if len(late) != count {
		log.Fatalf("%d events of %d", len(late), count)
	}
	return figures(late, 1)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	if os.Args[1] == "serve" {
		serve(os.Args[2], os.Args[3], os.Args[4])
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		said, err := json.Marshal(order("https://"+os.Args[2], strings.Fields(lines.Text())))
		must(err)
		fmt.Println(string(said))
	}
}
