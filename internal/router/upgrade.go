// SPDX-License-Identifier: MPL-2.0

package router

import (
	"bufio"
	"io"
	"net/http"
)

// passUpgrade passes an answer on after which the connection is no longer HTTP, and copies
// in both directions until both sides are done.
func (x *exchange) passUpgrade(conn *replicaConn, res *http.Response, requested string) {
	defer func() { _ = conn.Close() }() // The error has no use.
	protocol := res.Header.Get("Upgrade")
	if requested == "" || !isListed([]string{requested}, protocol) {
		x.fail(errMalformed)
		x.upload.stop(x)
		return
	}
	header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {protocol}}
	copyAnswerHeader(header, res.Header)
	// It is counted here before the server stops counting it, so that a shutdown
	// misses none.
	x.frontend.upgradedInFlight.enter()
	defer x.frontend.upgradedInFlight.leave()
	client, buffered, err := http.NewResponseController(x).Hijack()
	if err != nil {
		x.noteFailure(errBrokenOff)
		x.isCut = true
		return
	}
	if c, ok := client.(*clientConn); ok {
		// With both sockets themselves the kernel does the copying.
		client = c.Conn
	}
	defer client.Close()
	defer x.upstream.conns.remove(client)
	defer x.frontend.upgraded.remove(client)
	if !x.upstream.conns.add(client) || !x.frontend.upgraded.add(client) {
		x.countFailure(failCut)
		return
	}
	x.status = http.StatusSwitchingProtocols
	x.upstream.answers.count(x.status)
	if writeSwitch(buffered.Writer, header) == nil &&
		copyBuffered(conn, buffered.Reader) == nil && copyBuffered(client, conn.r) == nil {
		copyBothWays(client, conn.TCPConn)
	}
	x.upstream.noteAnswer()
	if x.upstream.conns.isClosed() {
		x.countFailure(failCut)
	}
}

// writeSwitch writes the head after which the connection is no longer HTTP.
func writeSwitch(w *bufio.Writer, header http.Header) error {
	// The buffer keeps the errors.
	_, _ = w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.Write(w)
	_, _ = w.WriteString("\r\n")
	return w.Flush()
}

// copyBuffered copies what r has read ahead.
func copyBuffered(dst io.Writer, r *bufio.Reader) error {
	_, err := io.CopyN(dst, r, int64(r.Buffered()))
	return err
}
