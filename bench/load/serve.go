// The servers: gRPC over HTTP/2 without TLS, and pages over HTTP/1.1. A request's header says how many bytes its answer has.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"

	"golang.org/x/net/http2"
)

const bytesHeader = "x-bytes"

func serve(address string, answer func(net.Conn) error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		socket, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() {
			defer socket.Close()
			if err := answer(socket); err != nil && err != io.EOF {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

// A message of 64 KiB; a long answer repeats it.
var message = append([]byte{0, 0, 0, 0xff, 0xfb}, make([]byte, 0xfffb)...)

// The answer of grpc.health.v1.Health/Check: SERVING.
var serving = []byte{0, 0, 0, 0, 2, 8, 1}

// What is still to be sent on a stream, and how much its client takes.
type answer struct {
	body   []byte
	sent   int64
	total  int64
	window int64
}

type server struct {
	*connection
	answers map[uint32]*answer
	// Windows of the client: of the connection, and of a new stream.
	window, initial int64
}

func answerCalls(socket net.Conn) error {
	s := &server{connection: newConnection(socket), answers: map[uint32]*answer{}, window: 65_535, initial: 65_535}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(s.in, preface); err != nil {
		return err
	}
	if err := s.settings(); err != nil {
		return err
	}
	for {
		frame, err := s.next()
		if err != nil {
			return err
		}
		if err := s.take(frame); err != nil {
			return err
		}
		if err := s.pump(); err != nil {
			return err
		}
	}
}

func (s *server) take(frame http2.Frame) error {
	switch frame := frame.(type) {
	case *http2.HeadersFrame:
		clear(s.fields)
		if err := s.decode(frame); err != nil {
			return err
		}
		one := &answer{body: message, window: s.initial}
		one.total, _ = strconv.ParseInt(s.fields[bytesHeader], 10, 64)
		if s.fields[":path"] == "/grpc.health.v1.Health/Check" {
			one.body, one.total = serving, int64(len(serving))
		}
		s.answers[frame.StreamID] = one
		return s.headers(frame.StreamID, false, ":status", "200", "content-type", "application/grpc")
	case *http2.DataFrame:
		return s.refill(frame, nil)
	case *http2.WindowUpdateFrame:
		if frame.StreamID == 0 {
			s.window += int64(frame.Increment)
		} else if one := s.answers[frame.StreamID]; one != nil {
			one.window += int64(frame.Increment)
		}
	case *http2.SettingsFrame:
		if value, isSet := frame.Value(http2.SettingInitialWindowSize); isSet {
			for _, one := range s.answers {
				one.window += int64(value) - s.initial
			}
			s.initial = int64(value)
		}
		return s.control(frame)
	case *http2.RSTStreamFrame:
		delete(s.answers, frame.StreamID)
	default:
		return s.control(frame)
	}
	return nil
}

const maxFrame = 16 << 10

// Sends of every answer what the windows take.
func (s *server) pump() error {
	for id, one := range s.answers {
		for one.sent < one.total {
			at := one.sent % int64(len(one.body))
			size := min(one.total-one.sent, int64(len(one.body))-at, one.window, s.window, maxFrame)
			if size <= 0 {
				break
			}
			if err := s.framer.WriteData(id, false, one.body[at:at+size]); err != nil {
				return err
			}
			one.sent += size
			one.window -= size
			s.window -= size
		}
		if one.sent < one.total {
			continue
		}
		if err := s.headers(id, true, "grpc-status", "0"); err != nil {
			return err
		}
		delete(s.answers, id)
	}
	return nil
}

var page = make([]byte, 4<<20)

// A request's path ends with the number of bytes of its page.
func answerPages(socket net.Conn) error {
	in, out := bufio.NewReaderSize(socket, bufferBytes), bufio.NewWriterSize(socket, bufferBytes)
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		head, headers, err := readHead(in)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, in, headers.length); err != nil {
			return err
		}
		size := pageBytes(head)
		fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n", size)
		if _, err := out.Write(page[:size]); err != nil {
			return err
		}
	}
}

// What is read of a message's headers.
type headersRead struct {
	length int64
	close  bool
}

// The first line of a message, and its headers.
func readHead(in *bufio.Reader) (string, headersRead, error) {
	first, err := in.ReadString('\n')
	if err != nil {
		return "", headersRead{}, err
	}
	var read headersRead
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return "", read, err
		}
		if len(line) <= 2 {
			return textproto.TrimString(first), read, nil
		}
		switch name, value := header(line); name {
		case "content-length":
			read.length, err = strconv.ParseInt(value, 10, 64)
			if err != nil {
				return "", read, err
			}
		case "connection":
			read.close = value == "close"
		case "transfer-encoding":
			return "", read, fmt.Errorf("a body without a length")
		}
	}
}
