// Fetches each URL, tcp://HOST:PORT as an echo that is half closed; ends with 1 if one was refused.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
)

func echo(address string) (string, error) {
	stream, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	if _, err = stream.Write([]byte("half a dialogue")); err != nil {
		return "", err
	}
	if err = stream.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	got, err := io.ReadAll(stream)
	return string(got), err
}

func fetch(address string) (string, error) {
	answer, err := http.Get(address)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", answer.Status)
	}
	return string(got), err
}

func main() {
	code := 0
	for _, address := range os.Args[1:] {
		work := fetch
		if parsed, err := url.Parse(address); err == nil && parsed.Scheme == "tcp" {
			work, address = echo, parsed.Host
		}
		got, err := work(address)
		fmt.Println(got)
		if err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}
