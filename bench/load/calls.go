// The client of gRPC calls: HTTP/2 without TLS, frame by frame in one goroutine a connection. Frames are written together whenever
// nothing more is there to be read.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	streamWindow     = 4 << 20
	connectionWindow = 16 << 20
	bufferBytes      = 64 << 10
)

// What a client and a server need of one connection.
type connection struct {
	in      *bufio.Reader
	out     *bufio.Writer
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	decoder *hpack.Decoder
	fields  map[string]string
	// Bytes that were received since the last update of the connection's window.
	received uint32
}

func newConnection(socket net.Conn) *connection {
	c := &connection{
		in:     bufio.NewReaderSize(socket, bufferBytes),
		out:    bufio.NewWriterSize(socket, bufferBytes),
		fields: map[string]string{},
	}
	c.framer = http2.NewFramer(c.out, c.in)
	c.framer.SetReuseFrames()
	c.encoder = hpack.NewEncoder(&c.block)
	c.decoder = hpack.NewDecoder(4096, func(field hpack.HeaderField) { c.fields[field.Name] = field.Value })
	return c
}

// Tells the windows of this end.
func (c *connection) settings() error {
	if err := c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow}); err != nil {
		return err
	}
	return c.framer.WriteWindowUpdate(0, connectionWindow-65_535)
}

func (c *connection) next() (http2.Frame, error) {
	if c.in.Buffered() == 0 {
		if err := c.out.Flush(); err != nil {
			return nil, err
		}
	}
	return c.framer.ReadFrame()
}

func (c *connection) headers(stream uint32, end bool, fields ...string) error {
	c.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		if err := c.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			return err
		}
	}
	return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: end, EndHeaders: true})
}

func (c *connection) decode(frame *http2.HeadersFrame) error {
	if !frame.HeadersEnded() {
		return fmt.Errorf("headers in several frames")
	}
	_, err := c.decoder.Write(frame.HeaderBlockFragment())
	return err
}

// Gives the sender its window back, when half of it is used.
func (c *connection) refill(frame *http2.DataFrame, used map[uint32]uint32) error {
	size := frame.Length
	c.received += size
	if c.received > connectionWindow/2 {
		if err := c.framer.WriteWindowUpdate(0, c.received); err != nil {
			return err
		}
		c.received = 0
	}
	if frame.StreamEnded() || used == nil {
		return nil
	}
	used[frame.StreamID] += size
	if used[frame.StreamID] < streamWindow/2 {
		return nil
	}
	size, used[frame.StreamID] = used[frame.StreamID], 0
	return c.framer.WriteWindowUpdate(frame.StreamID, size)
}

// What both ends do with frames that belong to no stream.
func (c *connection) control(frame http2.Frame) error {
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			return c.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !frame.IsAck() {
			return c.framer.WritePing(true, frame.Data)
		}
	}
	return nil
}

func openCalls(asked order) (func(*tally) error, error) {
	socket, err := net.Dial("tcp", asked.At)
	if err != nil {
		return nil, err
	}
	c := newConnection(socket)
	if _, err := c.out.WriteString(http2.ClientPreface); err != nil {
		return nil, err
	}
	if err := c.settings(); err != nil {
		return nil, err
	}
	return func(t *tally) error {
		defer socket.Close()
		return c.call(asked, t)
	}, c.out.Flush()
}

// Keeps `Streams` calls under way until the time is over; the one call of a "stream" ends by itself.
func (c *connection) call(asked order, t *tally) error {
	message := append([]byte{0, 0, 0, 0, 32}, make([]byte, 32)...)
	until := time.Now().Add(time.Duration(asked.Seconds * float64(time.Second)))
	began, used := map[uint32]time.Time{}, map[uint32]uint32{}
	last := uint32(0)
	start := func() error {
		last += 2
		id := last - 1
		began[id] = time.Now()
		if err := c.headers(id, false, ":method", "POST", ":scheme", "http", ":path", asked.Path, ":authority", asked.Authority,
			"content-type", "application/grpc", "te", "trailers", "grpc-timeout", "60S", bytesHeader, strconv.FormatInt(asked.Bytes, 10)); err != nil {
			return err
		}
		return c.framer.WriteData(id, true, message)
	}
	for range asked.Streams {
		if err := start(); err != nil {
			return err
		}
	}
	for len(began) > 0 {
		frame, err := c.next()
		if err != nil {
			return err
		}
		ended := false
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			if err := c.decode(frame); err != nil {
				return err
			}
			ended = frame.StreamEnded()
		case *http2.DataFrame:
			t.bytes += int64(frame.Length)
			ended = frame.StreamEnded()
			if err := c.refill(frame, used); err != nil {
				return err
			}
		case *http2.RSTStreamFrame:
			return fmt.Errorf("stream %d was reset: %v", frame.StreamID, frame.ErrCode)
		case *http2.GoAwayFrame:
			return fmt.Errorf("the connection is closed: %v", frame.ErrCode)
		default:
			if err := c.control(frame); err != nil {
				return err
			}
		}
		if !ended {
			continue
		}
		id := frame.Header().StreamID
		t.count(began[id], c.fields["grpc-status"])
		delete(began, id)
		delete(used, id)
		clear(c.fields)
		if asked.Kind == "calls" && time.Now().Before(until) {
			if err := start(); err != nil {
				return err
			}
		}
	}
	return nil
}
