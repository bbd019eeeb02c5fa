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
		client gets 200|Connection: close|Content-Length: 2||ok
		client goes`},
}
