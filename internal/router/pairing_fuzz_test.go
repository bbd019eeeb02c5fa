// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// FuzzPairing lets several clients send requests through connections that the router
// shares among them, to a replica that sends more, less and other bytes than it should.
// All that belongs to a request carries its name, "~c2-007~" for the seventh of the second
// client, and nobody may get a byte with the name of another request.
//
// A surplus comes in one write with the end of its answer. If it came later, nobody could
// tell it from the answer to the next request.
func FuzzPairing(f *testing.F) {
	for manner := range manners {
		var inTurn, together []byte
		for kind := range clientKinds {
			// One client provokes it, and another one would get what is left.
			inTurn = append(inTurn, 0x80, byte(kind), byte(manner), byte(manner), 0, 0x81, 0, 0, 0, 0)
			together = append(together, byte(kind), byte(kind), byte(manner), byte(kind+manner), byte(17*kind+manner))
		}
		f.Add(inTurn)
		f.Add(together)
	}
	for split := 0; split < 256; split += longestPlan {
		var parts []byte
		for i := range longestPlan {
			parts = append(parts, 0, twoGets, 0, 0, byte(split+i))
		}
		f.Add(parts)
	}
	e := startRouter(f, protocol.HTTP, nil)
	f.Fuzz(func(t *testing.T, plan []byte) {
		// A pool of its own has connections of its own: one plan does not spoil the next.
		pool := router.NewPool(bluegreen.Blue, nil)
		pool.Set([]router.Backend{{ID: "blue-1", Addr: startUnrulyReplica(t)}})
		e.Switch(pool)
		t.Cleanup(pool.Close)
		clients := make([]*pairingClient, 4)
		for i := range clients {
			clients[i] = &pairingClient{t: t, name: fmt.Sprintf("c%d", i), router: e.addr}
			t.Cleanup(clients[i].leave)
		}
		for _, round := range rounds(plan) {
			var busy sync.WaitGroup
			for _, op := range round {
				busy.Go(func() { clients[op.client].do(op) })
			}
			busy.Wait()
		}
		for _, c := range clients {
			c.do(pairingOp{})
		}
	})
}

// pairingOp is what a client does next.
type pairingOp struct {
	client int
	kind   int
	// manners are how the replica answers the first request, and a pipelined one.
	manners [2]int
	// split is how many bytes the client sends first. It sends the rest when it has the
	// answers to the requests before. 0 sends all at once.
	split int
}

// longestPlan is how much the clients do at most.
const longestPlan = 64

// rounds reads a plan: five bytes for what a client does. The clients of one round do it
// at the same time. 0x80 in the first byte begins a round.
func rounds(plan []byte) [][]pairingOp {
	all := [][]pairingOp{nil}
	taken := map[int]bool{}
	for i := 0; i+4 < min(len(plan), 5*longestPlan); i += 5 {
		op := pairingOp{
			client: int(plan[i]&0x7f) % 4, kind: int(plan[i+1]) % len(clientKinds),
			manners: [2]int{int(plan[i+2]) % len(manners), int(plan[i+3]) % len(manners)},
			split:   int(plan[i+4]),
		}
		if plan[i]&0x80 != 0 || taken[op.client] {
			all = append(all, nil)
			clear(taken)
		}
		taken[op.client] = true
		all[len(all)-1] = append(all[len(all)-1], op)
	}
	return all
}

// clientKind is a way to send one or two requests.
type clientKind struct {
	name     string
	requests []pairingRequest
	// leaves closes the client's connection without waiting for an answer.
	leaves bool
}

// pairingRequest is a request. What is fixed of its head comes between the two fields.
type pairingRequest struct{ method, rest string }

var (
	pairingGet   = pairingRequest{"GET", "|"}
	pairingHead  = pairingRequest{"HEAD", "|"}
	pairingPost  = pairingRequest{"POST", "Content-Length: 27||NAMEGET /e HTTP/1.1||"}
	pairingChunk = pairingRequest{"POST", "Transfer-Encoding: chunked||8|NAME|8|NAME|0||"}
)

// twoGets is the kind of a client that sends two requests at once.
const twoGets = 5

var clientKinds = []clientKind{
	{name: "GET", requests: []pairingRequest{pairingGet}},
	{name: "HEAD", requests: []pairingRequest{pairingHead}},
	{name: "POST", requests: []pairingRequest{pairingPost}},
	{name: "POST in chunks", requests: []pairingRequest{pairingChunk}},
	{name: "DELETE", requests: []pairingRequest{{"DELETE", "|"}}},
	{name: "GET, GET", requests: []pairingRequest{pairingGet, pairingGet}},
	{name: "HEAD, GET", requests: []pairingRequest{pairingHead, pairingGet}},
	{name: "POST, HEAD", requests: []pairingRequest{pairingPost, pairingHead}},
	{name: "POST in chunks, GET", requests: []pairingRequest{pairingChunk, pairingGet}},
	{name: "POST with a bad chunk", requests: []pairingRequest{
		{"POST", "Transfer-Encoding: chunked||8|NAME|zz|NAME|0||"},
	}},
	{name: "POST with a length and chunks", requests: []pairingRequest{
		{"POST", "Content-Length: 3|Transfer-Encoding: chunked||8|NAME|0||"},
	}},
	{name: "POST that asks first", requests: []pairingRequest{
		{"POST", "Expect: 100-continue|Content-Length: 8||NAME"},
	}},
	{name: "GET, and goes", requests: []pairingRequest{pairingGet}, leaves: true},
	{name: "half a POST, and goes", requests: []pairingRequest{{"POST", "Content-Length: 100||NAME"}}, leaves: true},
	{name: "half a head, and goes", requests: []pairingRequest{{"GET", "X-Half: NAME"}}, leaves: true},
}

// pairingClient is a client with one connection at a time.
type pairingClient struct {
	t            *testing.T
	name, router string
	conn         net.Conn
	sent         int
}

func (c *pairingClient) leave() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// do sends the requests of op, and looks at all that comes back.
func (c *pairingClient) do(op pairingOp) {
	kind := clientKinds[op.kind]
	var out []byte
	var names []string
	var ends []int
	for i, r := range kind.requests {
		c.sent++
		name := fmt.Sprintf("~%s-%03d~", c.name, c.sent)
		names = append(names, name)
		// Each name has eight bytes, so that the lengths above are right.
		head := fmt.Sprintf("%s /%d/NAME HTTP/1.1|Host: a|X-Name: NAME|", r.method, op.manners[i])
		out = append(out, fillIn(head+r.rest, name)...)
		ends = append(ends, len(out))
	}
	if c.conn == nil {
		conn, err := new(net.Dialer).DialContext(c.t.Context(), "tcp", c.router)
		if err != nil {
			c.t.Error(err)
			return
		}
		c.conn = conn
	}
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	first := len(out)
	if op.split > 0 && op.split < len(out) {
		first = op.split
	}
	// An error of a write means that the connection is closed, which the read tells.
	_, _ = c.conn.Write(out[:first])
	if kind.leaves {
		c.leave()
		return
	}
	c.read(op, kind, names, func(answers int) {
		if first < len(out) && (answers == len(ends) || ends[answers] > first) {
			_, _ = c.conn.Write(out[first:])
			first = len(out)
		}
	})
}

// read reads one answer for each name. It calls more before each one.
func (c *pairingClient) read(op pairingOp, kind clientKind, names []string, more func(answers int)) {
	var in []byte
	hasEnded := false
	buffer := make([]byte, 64<<10)
	for i, name := range names {
		more(i)
		for {
			m := parseMessage(in, true, kind.requests[i].method == "HEAD", hasEnded)
			if m != nil && m.isWhole {
				c.compare(op, i, m, in[:m.size], name)
				in = in[m.size:]
				if strings.HasPrefix(m.start, "1") {
					continue
				}
				if connection, _ := m.field("Connection"); connection == "close" {
					c.leave()
					return
				}
				break
			}
			if hasEnded {
				c.compare(op, i, m, in, name)
				c.leave()
				return
			}
			n, err := c.conn.Read(buffer)
			in = append(in, buffer[:n]...)
			hasEnded = err != nil
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.t.Errorf("%s of %s got no answer, but %q", name, kind.name, in)
			}
		}
	}
	if len(in) > 0 {
		c.t.Errorf("%s of %s also got %q", names[len(names)-1], kind.name, in)
	}
}

var anyName = regexp.MustCompile(`~c\d-\d{3}~`)

// compare fails if what the request of op with this number got, m or only the bytes in,
// belongs to another one.
func (c *pairingClient) compare(op pairingOp, number int, m *message, in []byte, name string) {
	kind := clientKinds[op.kind]
	for _, got := range anyName.FindAll(in, -1) {
		if string(got) != name {
			c.t.Errorf("%s of %s got an answer to %s: %q", name, kind.name, got, in)
			return
		}
	}
	if !op.mustSucceed(number) {
		return
	}
	want := name
	if kind.requests[number].method == "HEAD" {
		want = ""
	}
	if m == nil || !m.isWhole || m.start != "200" || m.body != want || !bytes.Contains(in, []byte("X-Name: "+name)) {
		c.t.Errorf("%s of %s, with which nothing is wrong, got %q", name, kind.name, in)
	}
}

// mustSucceed reports whether nothing is wrong with a request and the ones before it. Only
// a GET and a HEAD are sent again if the replica closes the connection at that moment.
func (op *pairingOp) mustSucceed(number int) bool {
	for i := range number + 1 {
		method := clientKinds[op.kind].requests[i].method
		if manners[op.manners[i]].name != "well" || method != "GET" && method != "HEAD" {
			return false
		}
	}
	return true
}
