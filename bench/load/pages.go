// The client of pages: HTTP/1.1 with one request after the other on each connection, as an ingress or a Prometheus has them.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

func openPages(asked order) (func(*tally) error, error) {
	socket, err := net.Dial("tcp", asked.At)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(socket, bufferBytes)
	request := requestOf(asked)
	return func(t *tally) error {
		defer socket.Close()
		until := time.Now().Add(time.Duration(asked.Seconds * float64(time.Second)))
		for time.Now().Before(until) {
			began := time.Now()
			if _, err := socket.Write(request); err != nil {
				return err
			}
			head, headers, err := readHead(in)
			if err != nil {
				return err
			}
			read, err := io.CopyN(io.Discard, in, headers.length)
			if err != nil {
				return err
			}
			t.bytes += read
			t.count(began, statusOf(head))
			if headers.close {
				return fmt.Errorf("the connection is closed after %s", head)
			}
			time.Sleep(time.Until(began.Add(time.Duration(asked.EveryMs * float64(time.Millisecond)))))
		}
		return nil
	}, nil
}

func requestOf(asked order) []byte {
	if asked.Body == "" {
		return []byte(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\n"+
			"User-Agent: Mozilla/5.0\r\nCookie: _oauth2_proxy=%s\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n",
			asked.Path, asked.Authority, strings.Repeat("x", 500)))
	}
	return []byte(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		asked.Path, asked.Authority, len(asked.Body), asked.Body))
}

func statusOf(head string) string {
	_, rest, _ := strings.Cut(head, " ")
	status, _, _ := strings.Cut(rest, " ")
	return status
}

func pageBytes(head string) int {
	_, rest, _ := strings.Cut(head, " ")
	path, _, _ := strings.Cut(rest, " ")
	size, err := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil || size < 0 || size > len(page) {
		return 0
	}
	return size
}

func header(line []byte) (string, string) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	return strings.ToLower(string(name)), string(bytes.TrimSpace(value))
}
