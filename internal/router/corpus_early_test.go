// SPDX-License-Identifier: MPL-2.0

package router_test

// early are answers that come before the request is complete.
var early = []story{
	{"401 does not wait for the body", "RFC 9112 9.3: an answer may come before the end of its request", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: 100000||hello
		replica gets head POST / HTTP/1.1|Host: a|Content-Length: 100000
		replica sends HTTP/1.1 401 Unauthorized|Content-Length: 2||no
		client gets 401
		replica goes`},
	{"401 does not wait for chunks", "RFC 9112 9.3", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|hello|
		replica gets head POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked
		replica sends HTTP/1.1 401 Unauthorized|Content-Length: 2||no
		client gets 401
		replica goes`},
	{"413 of a replica that closes", "RFC 9112 9.6", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: 100000||hello
		replica gets head POST / HTTP/1.1|Host: a|Content-Length: 100000
		replica sends HTTP/1.1 413 Content Too Large|Connection: close|Content-Length: 2||no
		replica closes
		client gets 413`},
	{"the body that comes after its answer is no request", "RFC 9112 9.3", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: 36||hello
		replica gets head POST / HTTP/1.1|Host: a|Content-Length: 36
		replica sends HTTP/1.1 401 Unauthorized|Content-Length: 2||no
		client gets 401
		client sends GET /evil HTTP/1.1|Host: a||
		client is in step`},
	{"streams in both directions", "RFC 9112 9.3", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|first|
		replica gets head POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked
		replica gets more first
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|FIRST|
		client gets head 200|Transfer-Encoding: chunked or 200|Connection: close|Transfer-Encoding: chunked
		client gets more FIRST
		client sends 6|second|
		replica gets more second
		replica sends 6|SECOND|
		client gets more SECOND
		client sends 0||
		replica gets the rest
		replica sends 0||
		client gets the rest
		client is in step`},
	{"a stream is passed on as it comes", "no buffering", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Type: text/event-stream||
		client gets head 200|Content-Type: text/event-stream|Transfer-Encoding: chunked
		replica sends data: 1\n\n
		client gets more data: 1\n\n
		replica sends data: 2\n\n
		client gets more data: 2\n\n
		replica closes
		client gets the rest
		client stays`},
	{"the beginning of a chunk is passed on", "no buffering", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|5|wor
		client gets head 200|Transfer-Encoding: chunked
		client gets more hellowor
		replica sends ld|0||
		client gets the rest ld
		client stays
		replica stays`},
	{"a body of known length is passed on as it comes", "no buffering", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Length: 10||
		client gets head 200|Content-Length: 10
		replica sends hello
		client gets more hello
		replica sends world
		client gets the rest world
		client stays
		replica stays`},
	{"Expect: 100-continue", "RFC 9110 10.1.1", `
		client sends POST / HTTP/1.1|Host: a|Expect: 100-continue|Content-Length: 5||
		replica gets head POST / HTTP/1.1|Host: a|Expect: 100-continue|Content-Length: 5
		replica sends HTTP/1.1 100 Continue||
		client gets 100||
		client sends hello
		replica gets the rest hello
		replica answers
		client is answered
		client is in step`},
	{"Expect: 100-continue is refused", "RFC 9110 10.1.1", `
		client sends POST / HTTP/1.1|Host: a|Expect: 100-continue|Content-Length: 5||
		replica gets head POST / HTTP/1.1|Host: a|Expect: 100-continue|Content-Length: 5
		replica sends HTTP/1.1 401 Unauthorized|Content-Length: 2||no
		client gets 401
		client is in step
		replica goes`},
	{"103 Early Hints", "RFC 8297", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 103 Early Hints|Link: </a.css>||
		client gets 103|Link: </a.css>||
		replica answers
		client is answered
		client stays
		replica stays`},
	{"103 in one write with its answer", "RFC 8297", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 103 Early Hints|Link: </a.css>||HTTP/1.1 200 OK|Content-Length: 2||ok
		client gets 103|Link: </a.css>||
		client is answered
		client stays
		replica stays`},
	{"103 is nothing for HTTP/1.0", "RFC 9110 15.2", `
		client sends GET / HTTP/1.0|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 103 Early Hints|Link: </a.css>||HTTP/1.1 200 OK|Content-Length: 2||ok
		client gets 103 or 200|Connection: close|Content-Length: 2||ok
		client goes`},
}

// warm is how a story gets an idle connection to the replica.
const warm = `
		client sends GET /warm HTTP/1.1|Host: a||
		replica gets GET /warm HTTP/1.1|Host: a||
		replica answers
		client is answered`

// onlyOnce builds the story of a request that an idle connection swallows.
func onlyOnce(name, rule, request, received string) story {
	return story{name, rule, warm + `
		client sends ` + request + `
		replica gets ` + received + `
		replica is on connection 1
		replica closes
		client gets 502
		replica is blamed
		client is in step`}
}

// late are connections that end while a request is on its way.
var late = []story{
	{"an idle connection that closes costs nothing", "RFC 9112 9.3.1", warm + `
		replica closes
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 2
		replica answers
		client is answered
		client stays
		replica stays
		replica is blameless`},
	{"a GET that an idle connection swallows is sent once more", "RFC 9110 9.2.2", warm + `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 1
		replica closes
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 2
		replica answers
		client is answered
		client stays
		replica stays`},
	{"a GET that an idle connection resets is sent once more", "RFC 9110 9.2.2", warm + `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 1
		replica resets
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 2
		replica answers
		client is answered
		client stays
		replica stays`},
	{"a GET is sent at most twice", "RFC 9110 9.2.2: no retry of a failed retry", warm + `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 1
		replica closes
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 2
		replica closes
		client gets 502
		replica is blamed
		client is in step`},
	{"a GET is sent at most twice, over however many idle connections", "RFC 9110 9.2.2", `
		client1 sends GET /1 HTTP/1.1|Host: a||
		replica gets GET /1 HTTP/1.1|Host: a||
		client2 sends GET /2 HTTP/1.1|Host: a||
		replica gets GET /2 HTTP/1.1|Host: a||
		client3 sends GET /3 HTTP/1.1|Host: a||
		replica gets GET /3 HTTP/1.1|Host: a||
		replica1 answers
		replica2 answers
		replica3 answers
		client1 is answered
		client2 is answered
		client3 is answered
		client3 sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica closes
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 4
		replica closes
		client3 gets 502
		client3 is in step`},
	{"a GET on a fresh connection is sent once", "RFC 9110 9.2.2", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica closes
		client gets 502
		replica is blamed
		client is in step`},
	onlyOnce("a POST is never sent again", "RFC 9110 9.2.2", "POST / HTTP/1.1|Host: a|Content-Length: 5||hello",
		"POST / HTTP/1.1|Host: a|Content-Length: 5||hello"),
	onlyOnce("an empty POST is never sent again", "RFC 9110 9.2.2", "POST / HTTP/1.1|Host: a|Content-Length: 0||",
		"POST / HTTP/1.1|Host: a|Content-Length: 0||"),
	onlyOnce("a POST with a key is never sent again", "RFC 9110 9.2.2",
		"POST / HTTP/1.1|Host: a|Idempotency-Key: 1|Content-Length: 0||",
		"POST / HTTP/1.1|Host: a|Idempotency-Key: 1|Content-Length: 0||"),
	onlyOnce("a PATCH is never sent again", "RFC 9110 9.2.2", "PATCH / HTTP/1.1|Host: a|Content-Length: 0||",
		"PATCH / HTTP/1.1|Host: a|Content-Length: 0||"),
	onlyOnce("a GET with a body is never sent again", "its body is not kept",
		"GET / HTTP/1.1|Host: a|Content-Length: 5||hello", "GET / HTTP/1.1|Host: a|Content-Length: 5||hello"),
	{"a begun answer is not asked for again", "RFC 9110 9.2.2", warm + `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 1
		replica sends HTTP/1.1 2
		replica closes
		client gets 502
		replica is blamed
		client is in step`},
	{"an interim answer is an answer begun", "RFC 9110 9.2.2", warm + `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica is on connection 1
		replica sends HTTP/1.1 103 Early Hints|Link: </a.css>||
		client gets 103|Link: </a.css>||
		replica closes
		client gets 502
		replica is blamed
		client is in step`},
	{"a POST does not use a connection that has closed", "RFC 9112 9.3.1", warm + `
		replica closes
		client sends POST / HTTP/1.1|Host: a|Content-Length: 5||hello
		replica gets POST / HTTP/1.1|Host: a|Content-Length: 5||hello
		replica is on connection 2
		replica answers
		client is answered
		client stays
		replica stays
		replica is blameless`},
}
