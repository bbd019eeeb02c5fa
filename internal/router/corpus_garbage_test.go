// SPDX-License-Identifier: MPL-2.0

package router_test

// flood builds the story of an answer without an end.
func flood(name, head, endless string) story {
	return story{name, "memory is finite", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends ` + head + `
		replica floods ` + endless + `
		client gets 502
		client is in step
		replica goes
		replica is blamed`}
}

// passes builds the story of an answer that is odd, and correct.
func passes(name, rule, answer, want string) story {
	return story{name, rule, `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends ` + answer + `
		client gets ` + want + `
		client stays
		replica stays`}
}

// garbage is what is not HTTP.
var garbage = []story{
	badGateway("status 099", "RFC 9110 15", "HTTP/1.1 099 Odd|Content-Length: 2||ok"),
	badGateway("status of two digits", "RFC 9112 4", "HTTP/1.1 20 OK|Content-Length: 2||ok"),
	badGateway("status of four digits", "RFC 9112 4", "HTTP/1.1 2000 OK|Content-Length: 2||ok"),
	badGateway("status that is no number", "RFC 9112 4", "HTTP/1.1 2OO OK|Content-Length: 2||ok"),
	badGateway("negative status", "RFC 9112 4", "HTTP/1.1 -20 OK|Content-Length: 2||ok"),
	badGateway("no status line", "RFC 9112 4", "hello||"),
	badGateway("no HTTP at all", "RFC 9112 4", `\x16\x03\x01\x00\x05hello||`),
	badGateway("another protocol", "RFC 9112 4", "ICY 200 OK|Content-Length: 2||ok"),
	badGateway("empty head", "RFC 9112 4", "||"),
	badGateway("NUL in an answer's field", "RFC 9110 5.5", `HTTP/1.1 200 OK|X: a\x00b|Content-Length: 2||ok`),
	badGateway("an answer's field without a colon", "RFC 9112 5", "HTTP/1.1 200 OK|nonsense|Content-Length: 2||ok"),
	badGateway("an answer's field without a name", "RFC 9110 5.1", "HTTP/1.1 200 OK|: z|Content-Length: 2||ok"),
	flood("an endless status line", "HTTP/1.1 200 ", "<1000>"),
	flood("an endless field", "HTTP/1.1 200 OK|X: ", "<1000>"),
	flood("endless fields", "HTTP/1.1 200 OK|", "X: <100>|"),
	flood("endless interim answers", "HTTP/1.1 100 Continue||", "HTTP/1.1 103 Early Hints|X: <100>||"),
	flood("endless tiny interim answers", "HTTP/1.1 100 Continue||", "HTTP/1.1 100 Continue||"),
	{"an endless chunk extension", "RFC 9112 7.1.1", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||5;
		replica floods <1000>
		client gets 502 or cut
		client is in step
		replica goes
		replica is blamed`},
	{"endless trailers", "RFC 9112 7.1.2", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|ok|0|
		replica floods X: <100>|
		client gets 502 or cut
		client is in step
		replica goes
		replica is blamed`},
	{"client's endless field", "RFC 6585 5", `
		client sends GET / HTTP/1.1|Host: a|X:
		client floods <1000>
		client gets 431 or 400 or cut
		client goes
		replica is untouched`},
	{"client's endless target", "RFC 9112 3", `
		client sends GET /
		client floods <1000>
		client gets 414 or 431 or 400 or cut
		client goes
		replica is untouched`},
	{"client's endless trailers", "RFC 9112 7.1.2", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||2|ok|0|
		client floods X: <100>|
		client gets 400 or 431 or 413 or cut
		client goes
		replica is blameless`},
	refused("a client that speaks TLS", "RFC 9112 3", `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03||`),
	refused("a request without a version", "RFC 9112 3", `GET /index.html||`),
	refused("a version that is none", "RFC 9112 2.3", `GET / HTTP/1.10|Host: a||`),
	refused("a version in small letters", "RFC 9112 2.3", `GET / http/1.1|Host: a||`),
	refused("a method that is none", "RFC 9110 9.1", `G@T{} / HTTP/1.1|Host: a||`),
	refused("a space in the target", "RFC 9112 3.2", `GET /a b HTTP/1.1|Host: a||`),
	refused("a control character in the target", "RFC 9112 3.2", `GET /a\x01b HTTP/1.1|Host: a||`),
	refused("a target that is none", "RFC 9112 3.2", `GET a HTTP/1.1|Host: a||`),
	refused("a target of another scheme that has no path", "RFC 9112 3.2", `GET mailto:x HTTP/1.1|Host: a||`),
	refused("a target of http that has no authority", "RFC 9110 4.2.1", `GET http:x@evil/ HTTP/1.1|Host: a||`),
	refused("GET *", "RFC 9112 3.2.4: the asterisk is for OPTIONS", `GET * HTTP/1.1|Host: a||`),
	refused("half of how HTTP/2 begins", "RFC 9113 3.4", `PRI * HTTP/2.0||GET / HTTP/1.1|Host: a||`),
}

// oddities are messages that are rare and correct.
var oddities = []story{
	{"CONNECT", "RFC 9110 9.3.6: the router is no forward proxy", `
		client sends CONNECT a:443 HTTP/1.1|Host: a:443||
		client gets 405
		replica is untouched`},
	{"OPTIONS *", "RFC 9112 3.2.4: it is for the server behind", `
		client sends OPTIONS * HTTP/1.1|Host: a||
		replica gets OPTIONS * HTTP/1.1|Host: a||
		replica answers
		client is answered
		client stays
		replica stays`},
	{"TRACE", "RFC 9110 9.3.8: whether to answer is the replica's choice", `
		client sends TRACE / HTTP/1.1|Host: a||
		replica gets TRACE / HTTP/1.1|Host: a||
		replica answers
		client is answered
		client stays
		replica stays`},
	{"a method that nobody knows", "RFC 9110 9.1", `
		client sends brew /pot HTTP/1.1|Host: a||
		replica gets brew /pot HTTP/1.1|Host: a||
		replica answers
		client is answered
		client stays
		replica stays`},
	{"the target passes as it is", "RFC 9110 7.7: a proxy does not rewrite the path", `
		client sends GET //a/./b/../%2Fc%2f/;d=1?e=%zz;f&g=h+i HTTP/1.1|Host: a||
		replica gets GET //a/./b/../%2Fc%2f/;d=1?e=%zz;f&g=h+i HTTP/1.1|Host: a||
		replica answers
		client is answered
		client stays
		replica stays`},
	{"an empty line before a request", "RFC 9112 2.2", `
		client sends |GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica answers
		client is answered
		client stays`},
	{"a minor version of the future", "RFC 9112 2.3", `
		client sends GET / HTTP/1.2|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica answers
		client gets 200
		client is in step`},
	{"HTTP/1.0", "RFC 9112 9.3", `
		client sends GET / HTTP/1.0|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica answers
		client gets 200|Connection: close|Content-Length: 2||ok
		client goes
		replica stays`},
	{"HTTP/1.0 with keep-alive", "RFC 9112 9.3: a proxy does not keep connections of HTTP/1.0", `
		client sends GET / HTTP/1.0|Host: a|Connection: keep-alive||
		replica gets GET / HTTP/1.1|Host: a||
		replica answers
		client gets 200|Connection: close|Content-Length: 2||ok
		client goes
		replica stays`},
	passes("no Content-Type is invented", "RFC 9110 8.3", "HTTP/1.1 200 OK|Content-Length: 15||<html><p>hello<",
		"200|Content-Length: 15||<html><p>hello<"),
	passes("no Content-Type is invented for chunks", "RFC 9110 8.3",
		"HTTP/1.1 200 OK|X-Content-Type-Options: nosniff|Transfer-Encoding: chunked||6|<html>|0||",
		"200|X-Content-Type-Options: nosniff|Transfer-Encoding: chunked||<html>"),
	passes("no Content-Type is invented for nothing", "RFC 9110 8.3", "HTTP/1.1 200 OK|Content-Length: 0||",
		"200|Content-Length: 0||"),
	passes("a status that nobody knows", "RFC 9110 15", "HTTP/1.1 299 Odd|Content-Length: 2||ok",
		"299|Content-Length: 2||ok"),
	passes("status 999", "RFC 9110 15: it is passed on like a 5xx", "HTTP/1.1 999 Odd|Content-Length: 2||ok",
		"999|Content-Length: 2||ok"),
	passes("a status without a reason", "RFC 9112 4", `HTTP/1.1 200\x20|Content-Length: 2||ok`, okMessage),
	passes("205", "RFC 9110 15.3.6", "HTTP/1.1 205 Reset Content|Content-Length: 0||", "205|Content-Length: 0||"),
	passes("206", "RFC 9110 15.3.7", "HTTP/1.1 206 Partial Content|Content-Range: bytes 0-1/9|Content-Length: 2||ok",
		"206|Content-Range: bytes 0-1/9|Content-Length: 2||ok"),
	passes("encoded bodies are passed on as they are", "RFC 9110 8.4",
		"HTTP/1.1 200 OK|Content-Encoding: gzip|Content-Length: 2||ok",
		"200|Content-Encoding: gzip|Content-Length: 2||ok"),
	passes("102", "RFC 2518 10.1", "HTTP/1.1 102 Processing||"+okAnswer, okMessage),
	{"an answer of another version", "RFC 9112 2.3: what follows must be in step", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/2.0 200 OK|Content-Length: 2||ok
		client gets 502 or 200|Content-Length: 2||ok
		client stays`},
	{"an answer's folded field", "RFC 9112 5.2", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|X-Folded: one| two|Content-Length: 2||ok
		client gets 502 or 200|X-Folded: one two|Content-Length: 2||ok or 200|X-Folded: one   two|
		+ Content-Length: 2||ok
		client stays`},
	{"an answer's name with a space", "RFC 9110 5.1", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|X Y: z|Content-Length: 2||ok
		client gets 502 or 200|Content-Length: 2||ok
		client stays`},
	{"space before the colon of an answer", "RFC 9112 5.1: the proxy removes it", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|X-A : b|Content-Length: 2||ok
		client gets 502 or 200|X-A: b|Content-Length: 2||ok
		client stays`},
	{"bare LF in an answer", "RFC 9112 2.2", `
		client sends GET / HTTP/1.1|Host: a||
		replica gets GET / HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK\nX-A: b\nContent-Length: 2\n\nok
		client gets 502 or 200|X-A: b|Content-Length: 2||ok
		client stays`},
}
