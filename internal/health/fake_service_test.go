// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Answers of a script that are no status codes.
const (
	closed = -1 // Nothing listens.
	silent = -2 // The service accepts the connection and never answers.
)

// service is a fake service in fake time. Its script returns the answer to each
// probe by the age of the service. It records when it was probed.
type service struct {
	script func(age time.Duration, probe int) int
	start  time.Time

	mu     sync.Mutex
	probes []time.Duration
}

func newService(script func(age time.Duration, probe int) int) *service {
	return &service{script: script, start: time.Now()}
}

func (s *service) dial(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	age := time.Since(s.start)
	s.probes = append(s.probes, age)
	answer := s.script(age, len(s.probes))
	s.mu.Unlock()
	if answer == closed {
		return refuseConnection(ctx)
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		request := bufio.NewReader(server)
		if _, err := http.ReadRequest(request); err != nil {
			return
		}
		if answer == silent {
			_, _ = request.ReadByte() // Until the probe closes the connection.
			return
		}
		_, _ = fmt.Fprintf(server, "HTTP/1.1 %d Status\r\nContent-Length: 0\r\n\r\n", answer)
	}()
	return client, nil
}

// always is a script that always gives the same answer.
func always(answer int) func(time.Duration, int) int {
	return func(time.Duration, int) int { return answer }
}

// opensAfter is the script of a service that needs boot to open its port.
func opensAfter(boot time.Duration) func(time.Duration, int) int {
	return func(age time.Duration, _ int) int {
		if age < boot {
			return closed
		}
		return http.StatusOK
	}
}

// answers is the script of a service that gives one answer after the other, and
// repeats the last one.
func answers(list ...int) func(time.Duration, int) int {
	return func(_ time.Duration, probe int) int { return list[min(probe, len(list))-1] }
}
