// SPDX-License-Identifier: MPL-2.0

package router_test

// droppedFields builds the story of fields that are for the next hop only.
func droppedFields(name, rule, fields string) story {
	return story{name, rule, `
		client sends GET / HTTP/1.1|Host: a|` + fields + `||
		replica gets GET / HTTP/1.1|Host: a||
		replica answers
		client is answered
		client stays
		replica stays`}
}

// upgrade builds the story of a choice between h2c and another protocol: the replica must
// not be asked to choose.
func upgrade(fields string) story {
	return story{"one of " + fields, "the replica would see all later requests of the client", `
		client sends GET / HTTP/1.1|Host: a|Connection: Upgrade|` + fields + `||
		replica gets GET / HTTP/1.1|Host: a|| or GET / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: foo||
		replica answers
		client is answered
		client stays
		replica stays`}
}

// droppedFromAnswer is droppedFields the other way.
func droppedFromAnswer(name, rule, fields string) story {
	return story{name, rule, `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|` + fields + `|Content-Length: 2||ok
		client is answered
		client stays
		replica stays`}
}

// hopByHop are fields that a proxy must not pass on.
var hopByHop = []story{
	droppedFields("fields that Connection lists", "RFC 9110 7.6.1", "Connection: X-A, x-b|X-A: 1|X-B: 2"),
	droppedFields("fields of several Connection lines", "RFC 9110 7.6.1",
		"Connection: ,X-A ,|connection:\tX-B|X-A: 1|X-B: 2|X-A: 3"),
	droppedFields("Keep-Alive", "RFC 9110 7.6.1", "Connection: keep-alive|Keep-Alive: timeout=5"),
	droppedFields("Keep-Alive that Connection does not list", "RFC 9110 7.6.1", "Keep-Alive: timeout=5"),
	droppedFields("Proxy-Connection", "RFC 9110 7.6.1", "Proxy-Connection: keep-alive"),
	droppedFields("TE that Connection lists", "RFC 9110 10.1.4", "Connection: TE|TE: gzip"),
	droppedFields("TE that Connection does not list", "RFC 9110 7.6.1", "TE: gzip;q=0.5"),
	{"TE: trailers", "RFC 9110 10.1.4: the router passes trailers on, so it may ask for them", `
		client sends GET / HTTP/1.1|Host: a|Connection: TE|TE: trailers, gzip||
		replica gets GET / HTTP/1.1|Host: a|| or GET / HTTP/1.1|Host: a|Te: trailers|| or GET / HTTP/1.1|
		+ Connection: TE|Host: a|Te: trailers||
		replica answers
		client is answered
		client stays
		replica stays`},
	droppedFields("Upgrade without Connection", "RFC 9110 7.8", "Upgrade: foo"),
	droppedFields("Upgrade to h2c", "the replica would see all later requests of the client",
		"Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|HTTP2-Settings: AAMAAABkAAQAAP__"),
	droppedFields("Upgrade to H2C", "RFC 9110 7.8", "Connection: upgrade|Upgrade: H2C"),
	upgrade("Upgrade: h2c, foo"),
	upgrade("Upgrade: foo,h2c"),
	upgrade("Upgrade: foo|Upgrade: h2c"),
	upgrade("Upgrade: h2c|Upgrade: foo"),
	upgrade("Upgrade: foo, H2C ,"),
	{"Upgrade to another protocol", "RFC 9110 7.8", `
		client sends GET / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: foo||
		replica gets GET / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: foo||
		replica sends HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: foo||
		client gets 101|Connection: Upgrade|Upgrade: foo||`},
	{"Upgrade that the replica passes over", "RFC 9110 7.8", `
		client sends GET / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: foo||
		replica gets GET / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: foo||
		replica answers
		client is answered
		client stays
		replica stays`},
	badGateway("101 that nobody asked for", "RFC 9110 7.8",
		"HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: foo||"),
	{"Connection cannot take away the framing", "RFC 9110 7.6.1", `
		client sends POST / HTTP/1.1|Host: a|Connection: Content-Length|Content-Length: 5||hello
		replica gets POST / HTTP/1.1|Host: a|Content-Length: 5||hello
		replica answers
		client is answered
		client stays`},
	{"Connection: close is between client and router", "RFC 9112 9.6", `
		client sends GET / HTTP/1.1|Host: a|Connection: close||
		replica gets GET / HTTP/1.1|Host: a||
		replica answers
		client gets 200|Connection: close|Content-Length: 2||ok
		client goes
		replica stays`},
	{"a trailer of a request passes", "RFC 9112 7.1.2", `
		client sends POST / HTTP/1.1|Host: a|Trailer: X-Sum|Transfer-Encoding: chunked||5|hello|0|X-Sum: 42||
		replica gets POST / HTTP/1.1|Host: a|Trailer: X-Sum|Transfer-Encoding: chunked||hello||X-Sum: 42
		replica answers
		client is answered
		client stays`},
	{"a trailer of an answer passes", "RFC 9112 7.1.2", `
		client sends GET / HTTP/1.1|Host: a|TE: trailers||
		replica gets GET / HTTP/1.1|Host: a|| or GET / HTTP/1.1|Host: a|Te: trailers||
		replica sends HTTP/1.1 200 OK|Trailer: X-Sum|Transfer-Encoding: chunked||5|hello|0|X-Sum: 42||
		client gets 200|Trailer: X-Sum|Transfer-Encoding: chunked||hello||X-Sum: 42
		client stays
		replica stays`},
	{"a trailer of an answer that was not announced passes", "RFC 9110 6.6.2", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|0|X-Sum: 42||
		client gets 200|Transfer-Encoding: chunked||hello||X-Sum: 42
		client stays
		replica stays`},
	{"a trailer of an answer frames nothing", "RFC 9110 6.5.1", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|0|Content-Length: 3|
		+ Transfer-Encoding: chunked|Connection: close|X-Sum: 42||
		client gets 200|Transfer-Encoding: chunked||hello||X-Sum: 42
		client stays
		replica stays`},
	droppedFromAnswer("fields that the answer's Connection lists", "RFC 9110 7.6.1", "Connection: X-A|X-A: 1"),
	droppedFromAnswer("the answer's Keep-Alive", "RFC 9110 7.6.1", "Connection: keep-alive|Keep-Alive: timeout=5"),
	droppedFromAnswer("the answer's Proxy-Connection", "RFC 9110 7.6.1", "Proxy-Connection: keep-alive"),
	{"fields pass as they are", "RFC 9110 5.3", `
		client sends GET / HTTP/1.1|Host: a|Cookie: a=1; b=2|X-A: one|X-A: two|X-Empty:|X-Text: "a, b" \xe4||
		replica gets GET / HTTP/1.1|Host: a|Cookie: a=1; b=2|X-A: one|X-A: two|X-Empty: |X-Text: "a, b" \xe4||
		replica sends HTTP/1.1 200 OK|Set-Cookie: a=1, 2|Set-Cookie: b=2|X-Empty:|X-Text: \xe4|Content-Length: 2||ok
		client gets 200|Set-Cookie: a=1, 2|Set-Cookie: b=2|X-Empty: |X-Text: \xe4|Content-Length: 2||ok
		client stays
		replica stays`},
}
