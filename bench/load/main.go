// Load for `npm run bench -- --path`: clients and servers that take so little CPU that the proxies between them are what is measured.
//
//	load serve GRPC_ADDRESS PAGES_ADDRESS   serves until it is killed
//	load drive                              reads one order (JSON) a line from standard input, and answers each with one line
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// An order says what is asked for, and for how long. Of `Kind`: "calls" are gRPC calls, "stream" one gRPC stream of `Bytes`, "pages"
// requests by HTTP/1.1.
type order struct {
	Kind        string  `json:"kind"`
	At          string  `json:"at"`
	Authority   string  `json:"authority"`
	Path        string  `json:"path"`
	Connections int     `json:"connections"`
	Streams     int     `json:"streams"`
	Seconds     float64 `json:"seconds"`
	Bytes       int64   `json:"bytes"`
	Body        string  `json:"body"`
	// Milliseconds between two requests of one connection; 0: the next one follows at once.
	EveryMs float64 `json:"everyMs"`
}

type result struct {
	Done     int            `json:"done"`
	Bytes    int64          `json:"bytes"`
	Seconds  float64        `json:"seconds"`
	MedianUs float64        `json:"medianUs"`
	P99Us    float64        `json:"p99Us"`
	Statuses map[string]int `json:"statuses"`
	Error    string         `json:"error,omitempty"`
}

// What one connection measured.
type tally struct {
	latencies []time.Duration
	bytes     int64
	statuses  map[string]int
	err       error
}

func (t *tally) count(began time.Time, status string) {
	t.latencies = append(t.latencies, time.Since(began))
	t.statuses[status]++
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		go serve(os.Args[2], answerCalls)
		serve(os.Args[3], answerPages)
	}
	if len(os.Args) != 2 || os.Args[1] != "drive" {
		fmt.Fprintln(os.Stderr, "usage: load serve GRPC_ADDRESS PAGES_ADDRESS | load drive")
		os.Exit(2)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked order
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		answer, err := json.Marshal(drive(asked))
		if err != nil {
			panic(err)
		}
		fmt.Println(string(answer))
	}
}

// Opens all connections, and then lets all of them begin at once.
func drive(asked order) result {
	begin := make(chan struct{})
	tallies := make([]tally, asked.Connections)
	var opened, ended sync.WaitGroup
	for i := range tallies {
		opened.Add(1)
		ended.Add(1)
		go func() {
			defer ended.Done()
			one := &tallies[i]
			one.statuses = map[string]int{}
			run, err := open(asked)
			opened.Done()
			<-begin
			if err == nil {
				err = run(one)
			}
			one.err = err
		}()
	}
	opened.Wait()
	began := time.Now()
	close(begin)
	ended.Wait()
	return sum(tallies, time.Since(began))
}

func open(asked order) (func(*tally) error, error) {
	if asked.Kind == "pages" {
		return openPages(asked)
	}
	return openCalls(asked)
}

func sum(tallies []tally, took time.Duration) result {
	all := []time.Duration{}
	total := result{Seconds: took.Seconds(), Statuses: map[string]int{}}
	for _, one := range tallies {
		all = append(all, one.latencies...)
		total.Bytes += one.bytes
		for status, count := range one.statuses {
			total.Statuses[status] += count
		}
		if one.err != nil {
			total.Error = one.err.Error()
		}
	}
	slices.Sort(all)
	total.Done = len(all)
	if len(all) > 0 {
		total.MedianUs = float64(all[len(all)/2].Nanoseconds()) / 1000
		total.P99Us = float64(all[len(all)*99/100].Nanoseconds()) / 1000
	}
	return total
}
