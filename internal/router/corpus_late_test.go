// SPDX-License-Identifier: MPL-2.0

package router_test

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
