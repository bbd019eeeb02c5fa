// SPDX-License-Identifier: MPL-2.0

package router_test

// badGateway builds the story of an answer that nobody can read.
func badGateway(name, rule, answer string) story {
	return story{name, rule, `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends ` + answer + `
		client gets 502
		client stays
		replica goes
		replica is blamed`}
}

// surplus builds the story of an answer with more bytes than belong to it.
func surplus(name, rule, method, answer, want string) story {
	return story{name, rule, `
		client sends ` + method + ` / HTTP/1.1|Host: a||
		replica gets ` + method + ` / HTTP/1.1|Host: a||
		replica sends ` + answer + `
		client gets ` + want + `
		client stays
		replica goes`}
}

// evil is an answer within an answer.
const evil = "HTTP/1.1 200 OK|Content-Length: 4||evil"

// answerFraming are bodies of answers.
var answerFraming = []story{
	{"a body with its length", "RFC 9112 6.2", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Type: text/plain|Content-Length: 5||hello
		client gets 200|Content-Type: text/plain|Content-Length: 5||hello
		client stays
		replica stays`},
	{"a body of chunks", "RFC 9112 7.1", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5;a=b|hello|0||
		client gets 200|Transfer-Encoding: chunked||hello
		client stays
		replica stays`},
	{"a large body of chunks", "RFC 9112 7.1", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||30d40|<200000>|0||
		client gets 200|Transfer-Encoding: chunked||<200000>
		client stays
		replica stays`},
	{"a body until the end of the connection", "RFC 9112 6.3", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK||hello
		replica closes
		client gets 200|Transfer-Encoding: chunked||hello
		client stays`},
	{"a body until the end of the connection, for HTTP/1.0", "RFC 9112 6.3", `
		client sends GET / HTTP/1.0|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|0||
		client gets 200|Connection: close||hello
		client goes
		replica stays`},
	{"an answer in HTTP/1.0", "RFC 9112 9.3", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.0 200 OK|Content-Length: 2||ok
		client is answered
		client stays
		replica goes`},
	{"an answer that closes", "RFC 9112 9.6", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Connection: close|Content-Length: 2||ok
		client is answered
		client stays
		replica goes`},
	{"an answer in single bytes", "RFC 9112 2.2", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200
		replica sends \x20OK|Content-Length: 2|
		replica sends |o
		replica sends k
		client is answered
		client stays
		replica stays`},
	surplus("more than Content-Length", "RFC 9112 6.3", "GET", "HTTP/1.1 200 OK|Content-Length: 2||okmore",
		okMessage),
	surplus("an answer after Content-Length", "RFC 9112 6.3", "GET", okAnswer+evil, okMessage),
	surplus("a line end after Content-Length", "RFC 9112 6.3", "GET", okAnswer+"|", okMessage),
	surplus("an answer after the last chunk", "RFC 9112 6.3", "GET",
		"HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|ok|0||"+evil, "200|Transfer-Encoding: chunked||ok"),
	surplus("HEAD with a body", "RFC 9110 9.3.2", "HEAD", okAnswer, "200|Content-Length: 2||"),
	surplus("HEAD with an answer as its body", "RFC 9110 9.3.2", "HEAD", "HTTP/1.1 200 OK|Content-Length: 40||"+evil,
		"200|Content-Length: 40||"),
	surplus("HEAD with chunks", "RFC 9110 9.3.2", "HEAD",
		"HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|ok|0||", "200"),
	surplus("204 with a body", "RFC 9110 15.3.5", "GET", "HTTP/1.1 204 No Content|Content-Length: 4||evil", "204"),
	surplus("204 with chunks", "RFC 9110 15.3.5", "GET",
		"HTTP/1.1 204 No Content|Transfer-Encoding: chunked||0||", "204"),
	surplus("304 with a body", "RFC 9110 15.4.5", "GET", "HTTP/1.1 304 Not Modified|Content-Length: 4||evil",
		"304"),
	surplus("304 with an answer as its body", "RFC 9110 15.4.5", "GET", "HTTP/1.1 304 Not Modified||"+evil, "304||"),
	{"HEAD", "RFC 9110 9.3.2", `
		client sends HEAD / HTTP/1.1|Host: a||
		replica gets HEAD / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Length: 5||
		client gets 200|Content-Length: 5||
		client stays`},
	{"HEAD without a length", "RFC 9110 9.3.2", `
		client sends HEAD / HTTP/1.1|Host: a||
		replica gets HEAD / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK||
		client gets 200
		client stays`},
	{"304 with the length of what it does not have", "RFC 9110 8.6", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 304 Not Modified|Content-Length: 5|Etag: "1"||
		client gets 304|Content-Length: 5|Etag: "1"|| or 304|Etag: "1"||
		client stays`},
	{"an answer of just a buffer, and more", "RFC 9112 6.3", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Length: 4055||<4055>` + evil + `
		client gets 200|Content-Length: 4055||<4055>
		client stays
		replica goes`},
	{"a large answer, and more", "RFC 9112 6.3", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Length: 100000||<100000>` + evil + `
		client gets 200|Content-Length: 100000||<100000>
		client stays
		replica goes`},
	{"bytes that nobody asked for", "RFC 9112 6.3", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica answers
		client is answered
		replica sends HTTP/1.1 200 OK|Content-Length: 4||evil
		client stays
		replica goes`},
	{"bytes that nobody asked for, after many answers", "RFC 9112 6.3", `
		client sends GET /1 HTTP/1.1|Host: a||
		replica gets GET /1 HTTP/1.1|Host: a||
		replica answers
		client is answered
		client sends GET /2 HTTP/1.1|Host: a||
		replica gets GET /2 HTTP/1.1|Host: a||
		replica is on connection 1
		replica sends HTTP/1.1 200 OK|Content-Length: 2||okHTTP/1.1 200 OK|Content-Length: 4||evil
		client is answered
		client sends GET /3 HTTP/1.1|Host: a||
		replica gets GET /3 HTTP/1.1|Host: a||
		replica is on connection 2
		replica answers
		client is answered
		client stays`},
	{"less than Content-Length", "RFC 9112 8", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Length: 10||hello
		client gets head 200|Content-Length: 10
		client gets more hello
		replica closes
		client gets the rest cut
		client goes
		replica is blamed`},
	{"a chunk that breaks off", "RFC 9112 8", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|
		client gets head 200|Transfer-Encoding: chunked
		client gets more hello
		replica sends 5|hel
		replica closes
		client gets the rest cut
		client goes
		replica is blamed`},
	{"chunks without a last one", "RFC 9112 8", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|
		client gets head 200|Transfer-Encoding: chunked
		client gets more hello
		replica closes
		client gets the rest cut
		client goes
		replica is blamed`},
	{"a bad chunk after a good one", "RFC 9112 7.1", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|
		client gets head 200|Transfer-Encoding: chunked
		client gets more hello
		replica sends zz|hello|0||
		client gets the rest cut
		client goes
		replica goes
		replica is blamed`},
	{"a bad chunk as the first", "RFC 9112 7.1", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||zz|hello|0||
		client gets 502 or cut
		client is in step
		replica goes
		replica is blamed`},
	badGateway("answer with two different Content-Lengths", "RFC 9112 6.3",
		"HTTP/1.1 200 OK|Content-Length: 2|Content-Length: 3||oko"),
	badGateway("answer with a negative Content-Length", "RFC 9112 6.3", "HTTP/1.1 200 OK|Content-Length: -2||ok"),
	badGateway("answer with a Content-Length that is no number", "RFC 9112 6.3",
		"HTTP/1.1 200 OK|Content-Length: x||ok"),
	badGateway("answer with an unknown transfer coding", "RFC 9112 6.1", "HTTP/1.1 200 OK|Transfer-Encoding: x||ok"),
	badGateway("answer with chunked twice", "RFC 9112 6.1",
		"HTTP/1.1 200 OK|Transfer-Encoding: chunked, chunked||2|ok|0||"),
	{"answer with two equal Content-Lengths", "RFC 9110 8.6", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Length: 2|Content-Length: 2||ok
		client is answered
		client stays
		replica stays`},
	{"answer with Content-Length and Transfer-Encoding", "RFC 9112 6.3", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Length: 3|Transfer-Encoding: chunked||2|ok|0||
		client gets 502 or 200|Transfer-Encoding: chunked||ok
		client stays`},
}
