// SPDX-License-Identifier: MPL-2.0

package router_test

// badChunk builds the story of a body that stops being one after its first chunk.
func badChunk(name, rest string) story {
	return story{"client's " + name, "RFC 9112 7.1", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|hello|` + rest + `
		client gets 400
		client goes
		replica is blameless`}
}

// requestFraming are bodies of requests.
var requestFraming = []story{
	{"a body keeps its length", "RFC 9112 6.2", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: 5||hello
		replica gets POST / HTTP/1.1|Host: a|Content-Length: 5||hello
		replica answers
		client is answered
		client stays`},
	{"an empty body keeps its length", "RFC 9110 8.6", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: 0||
		replica gets POST / HTTP/1.1|Host: a|Content-Length: 0||
		replica answers
		client is answered
		client stays
		replica stays`},
	{"extensions of chunks are dropped", "RFC 9112 7.1.1", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||5;a=b;c="d"|hello|0;e||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client is answered
		client stays`},
	{"a large chunked body", "RFC 9112 7.1", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||30d40|<200000>|0||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||<200000>
		replica answers
		client is answered
		client stays`},
	badChunk("chunk of no size", "zz|"),
	badChunk("chunk of negative size", "-1|hello|0||"),
	badChunk("chunk of hexadecimal prefix", "0x5|hello|0||"),
	badChunk("chunk beyond 64 bits", "10000000000000005|hello|0||"),
	badChunk("chunk that is longer than its size", "3|hello|0||"),
	badChunk("chunk size that ends with LF alone", `5\nhello|0||`),
	badChunk("empty chunk size", "|hello|0||"),
	badChunk("chunk size with a space before", " 5|hello|0||"),
	{"a bad chunk after the replica has begun to read", "RFC 9112 7.1", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|hello|
		replica gets head POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked
		replica gets more hello
		client sends zz|
		client gets 400
		client goes
		replica gets the rest cut
		replica goes
		replica is blameless`},
	{"a body that the client breaks off", "RFC 9112 8", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: 10||hello
		replica gets head POST / HTTP/1.1|Host: a|Content-Length: 10
		replica gets more hello
		client closes
		replica gets the rest cut
		replica goes
		replica is blameless`},
	{"a name in a trailer with a space", "RFC 9110 5.1", `
		client sends POST / HTTP/1.1|Host: a|Trailer: X Y, X-Z|Transfer-Encoding: chunked||5|hello|0|
		+ Transfer-Encoding : chunked|X Y: 1|X-Z: 2||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Trailer: X-Z||hello||X-Z: 2
		replica answers
		client gets 200
		replica stays`},
	{"a field in a trailer is no field", "RFC 9110 6.5.1", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|hello|0|Content-Length: 5|
		+ X-Forwarded-For: 192.0.2.1|Host: evil||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client gets 200
		client is in step`},
	{"a declared trailer frames nothing", "RFC 9110 6.5.1", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|
		+ Trailer: Content-Length, X-Forwarded-For||5|hello|0|Content-Length: 5|X-Forwarded-For: 192.0.2.1||
		client gets 400
		client goes
		replica is blameless`},
}
