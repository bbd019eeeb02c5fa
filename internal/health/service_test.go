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

// What a service does with a probe instead of answering with a status.
const (
	closed = -1 // nothing listens
	silent = -2 // accepts and never answers
)

// service is an instance in fake time: it answers each probe as the script
// says for the age of the service, and remembers when it was probed.
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
		return refuse(ctx)
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		request := bufio.NewReader(server)
		if _, err := http.ReadRequest(request); err != nil {
			return
		}
		if answer == silent {
			_, _ = request.ReadByte() // until the probe hangs up
			return
		}
		_, _ = fmt.Fprintf(server, "HTTP/1.1 %d Status\r\nContent-Length: 0\r\n\r\n", answer)
	}()
	return client, nil
}

// always is a script of one answer.
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

// answers is the script of a service that answers one probe after the other,
// the last answer again and again.
func answers(list ...int) func(time.Duration, int) int {
	return func(_ time.Duration, probe int) int { return list[min(probe, len(list))-1] }
}
