// SPDX-License-Identifier: MPL-2.0

package router_test

// refused builds the story of a request that is refused before the replica gets anything.
func refused(name, rule, request string) story {
	return story{name, rule, `
		client sends ` + request + `
		client gets 400 or 501
		client goes
		replica is untouched`}
}

// smuggling are requests that a proxy and a replica could read as different ones.
var smuggling = []story{
	{"Transfer-Encoding wins over Content-Length, and the connection ends", "RFC 9112 6.1 and 6.3", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: 3|Transfer-Encoding: chunked||5|hello|0||
		+ GET /evil HTTP/1.1|Host: a||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client gets 200
		client goes`},
	{"Transfer-Encoding before Content-Length", "RFC 9112 6.1 and 6.3", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Content-Length: 30||0||
		+ GET /evil HTTP/1.1|Host: a||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||
		replica answers
		client gets 200
		client goes`},
	{"two framings in a request that came with the one before", "RFC 9112 6.1 and 6.3", `
		client sends GET /1 HTTP/1.1|Host: a||POST /2 HTTP/1.1|Host: a|Content-Length: 3|
		+ Transfer-Encoding: chunked||5|hello|0||GET /evil HTTP/1.1|Host: a||
		replica gets GET /1 HTTP/1.1|Host: a||
		replica answers
		client gets 200
		replica gets POST /2 HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client gets 200
		client goes`},
	{"chunks of HTTP/1.0 in a request that came with the one before", "RFC 9112 6.1", `
		client sends GET /1 HTTP/1.1|Host: a||POST /2 HTTP/1.0|Host: a|Content-Length: 5|
		+ Transfer-Encoding: chunked||0||
		replica gets GET /1 HTTP/1.1|Host: a||
		replica answers
		client gets 200
		client gets 400
		client goes`},
	{"two framings after a method that begins like HTTP/2", "RFC 9112 6.1 and 6.3", `
		client sends PRINT / HTTP/1.1|Host: a||
		replica gets PRINT / HTTP/1.1|Host: a||
		replica answers
		client is answered
		client sends POST / HTTP/1.1|Host: a|Content-Length: 3|Transfer-Encoding: chunked||5|hello|0||
		+ GET /evil HTTP/1.1|Host: a||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client gets 200
		client goes`},
	{"two framings, and the replica fails after an interim answer", "RFC 9112 6.1 and 6.3", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: 3|Transfer-Encoding: chunked||5|hello|0||
		+ GET /evil HTTP/1.1|Host: a||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica sends HTTP/1.1 103 Early Hints|Link: <a>||
		replica closes
		client gets 502
		client goes`},
	{"two framings in a head that comes in parts", "RFC 9112 6.1 and 6.3", `
		client sends POST / HTTP/1.1|Host: a|Cont
		client sends ent-Length: 3|Transf
		client sends er-Encoding: chunked||5|hello|0||GET /evil HTTP/1.1|Host: a||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client gets 200
		client goes`},
	{"two framings, with bare LF", "RFC 9112 6.1 and 6.3", `
		client sends POST / HTTP/1.1\nHost: a\nContent-Length: 3\nTransfer-Encoding:\n chunked\n\n5|hello|0||
		+ GET /evil HTTP/1.1|Host: a||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client gets 200
		client goes`},
	refused("two different Content-Lengths", "RFC 9112 6.3",
		`POST / HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 6||hello!`),
	{"two equal Content-Lengths are one", "RFC 9110 8.6", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 5||hello
		replica gets POST / HTTP/1.1|Host: a|Content-Length: 5||hello
		replica answers
		client is answered
		client stays`},
	refused("Content-Length with a list", "RFC 9112 6.3", `POST / HTTP/1.1|Host: a|Content-Length: 5, 6||hello!`),
	refused("Content-Length with a sign", "RFC 9110 8.6", `POST / HTTP/1.1|Host: a|Content-Length: +5||hello`),
	refused("negative Content-Length", "RFC 9110 8.6", `POST / HTTP/1.1|Host: a|Content-Length: -5||hello`),
	refused("hexadecimal Content-Length", "RFC 9110 8.6", `POST / HTTP/1.1|Host: a|Content-Length: 0x5||hello`),
	refused("empty Content-Length", "RFC 9110 8.6", `POST / HTTP/1.1|Host: a|Content-Length:||hello`),
	refused("Content-Length beyond 64 bits", "RFC 9110 8.6",
		`POST / HTTP/1.1|Host: a|Content-Length: 18446744073709551621||hello`),
	{"Content-Length with spaces around", "RFC 9110 5.5", `
		client sends POST / HTTP/1.1|Host: a|Content-Length:\t 5 \t||hello
		replica gets POST / HTTP/1.1|Host: a|Content-Length: 5||hello
		replica answers
		client is answered
		client stays`},
	{"the letters of chunked do not matter", "RFC 9112 7", `
		client sends POST / HTTP/1.1|Host: a|tRANSFER-eNCODING: cHuNkEd||5|hello|0||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client is answered
		client stays`},
	refused("unknown transfer coding", "RFC 9112 6.1", `POST / HTTP/1.1|Host: a|Transfer-Encoding: xchunked||0||`),
	refused("transfer coding identity", "RFC 9112 7", `POST / HTTP/1.1|Host: a|Transfer-Encoding: identity||0||`),
	refused("chunked is not the last coding", "RFC 9112 6.3",
		`POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked, identity||0||`),
	refused("chunked twice", "RFC 9112 6.1", `POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked, chunked||0||`),
	refused("chunked twice in two fields", "RFC 9112 6.1",
		`POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Transfer-Encoding: chunked||0||`),
	refused("a second coding hides chunked", "RFC 9112 6.3",
		`POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Transfer-Encoding: x|Content-Length: 5||0||`),
	refused("chunked with a control character", "RFC 9110 5.5",
		`POST / HTTP/1.1|Host: a|Transfer-Encoding: \x0bchunked||0||`),
	refused("chunked with a parameter", "RFC 9112 7", `POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked;a=b||0||`),
	refused("quoted chunked", "RFC 9112 7", `POST / HTTP/1.1|Host: a|Transfer-Encoding: "chunked"||0||`),
	refused("empty transfer coding", "RFC 9112 6.1",
		`POST / HTTP/1.1|Host: a|Transfer-Encoding:|Content-Length: 5||hello`),
	refused("space before the colon", "RFC 9112 5.1",
		`POST / HTTP/1.1|Host: a|Transfer-Encoding : chunked|Content-Length: 5||0||`),
	refused("tab before the colon", "RFC 9112 5.1", `GET / HTTP/1.1|Host: a|X\t: b||`),
	refused("space before the first field", "RFC 9112 2.2", `GET / HTTP/1.1| Transfer-Encoding: chunked|Host: a||`),
	refused("field without a colon", "RFC 9112 5", `GET / HTTP/1.1|Host: a|nonsense||`),
	refused("field without a name", "RFC 9110 5.1", `GET / HTTP/1.1|Host: a|: b||`),
	refused("name with a space", "RFC 9110 5.1", `GET / HTTP/1.1|Host: a|X Y: b||`),
	refused("NUL in a value", "RFC 9110 5.5", `GET / HTTP/1.1|Host: a|X: a\x00b||`),
	refused("bare CR in a value", "RFC 9112 2.2", `GET / HTTP/1.1|Host: a|X: a\rTransfer-Encoding: chunked||`),
	{"a folded field becomes one line, or is refused", "RFC 9112 5.2", `
		client sends GET / HTTP/1.1|Host: a|X-Folded: one| two||
		replica gets GET / HTTP/1.1|Host: a|X-Folded: one two|| or GET / HTTP/1.1|Host: a|X-Folded: one   two||
		replica answers
		client is answered
		client stays`},
	{"a folded Transfer-Encoding is read as it is sent on", "RFC 9112 5.2", `
		client sends POST / HTTP/1.1|Host: a|Transfer-Encoding:| chunked||5|hello|0||
		replica gets POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client is answered
		client stays`},
	{"bare LF ends a line, and is sent on as CR LF", "RFC 9112 2.2", `
		client sends POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello
		replica gets POST / HTTP/1.1|Host: a|Content-Length: 5||hello
		replica answers
		client is answered
		client stays`},
	{"HTTP/1.0 has no chunks", "RFC 9112 6.1", `
		client sends POST / HTTP/1.0|Host: a|Transfer-Encoding: chunked||5|hello|0||
		client gets 400 or 411
		client goes
		replica is untouched`},
	{"PATCH of HTTP/1.0 with chunks", "RFC 9112 6.1", `
		client sends PATCH / HTTP/1.0|Host: a|Transfer-Encoding: chunked||5|hello|0||
		client gets 400 or 411
		client goes
		replica is untouched`},
	{"HTTP/1.0 with chunks, a length and keep-alive", "RFC 9112 6.1", `
		client sends POST / HTTP/1.0|Host: a|Connection: keep-alive|Content-Length: 5|
		+ Transfer-Encoding: chunked||0||GET /evil HTTP/1.0|Connection: keep-alive||
		client gets 400
		client goes
		replica is untouched`},
	{"another spelling of Transfer-Encoding frames nothing and is dropped", "WSGI reads it as the same name", `
		client sends POST / HTTP/1.1|Host: a|Transfer_Encoding: chunked|Content-Length: 5||0||
		replica gets POST / HTTP/1.1|Host: a|Content-Length: 5||0||
		replica answers
		client is answered
		client stays`},
	{"another spelling of Content-Length frames nothing and is dropped", "WSGI reads it as the same name", `
		client sends POST / HTTP/1.1|Host: a|Content_Length: 99|Content-Length: 5||hello
		replica gets POST / HTTP/1.1|Host: a|Content-Length: 5||hello
		replica answers
		client is answered
		client stays`},
	{"what follows a refused request is not read", "RFC 9112 9.6", `
		client sends POST / HTTP/1.1|Host: a|Content-Length: x||GET /evil HTTP/1.1|Host: a||
		client gets 400
		client goes
		replica is untouched`},
	{"pipelined requests are answered in their order", "RFC 9112 9.3.2", `
		client sends GET /1 HTTP/1.1|Host: a||POST /2 HTTP/1.1|Host: a|Content-Length: 5||helloGET /3 HTTP/1.1|
		+ Host: a||
		replica gets GET /1 HTTP/1.1|Host: a||
		replica sends HTTP/1.1 200 OK|Content-Length: 3||one
		client gets 200|Content-Length: 3||one
		replica gets POST /2 HTTP/1.1|Host: a|Content-Length: 5||hello
		replica sends HTTP/1.1 200 OK|Content-Length: 3||two
		client gets 200|Content-Length: 3||two
		replica gets GET /3 HTTP/1.1|Host: a||
		replica answers
		client is answered
		client stays`},
	{"a request that begins with the one before", "RFC 9112 9.3.2", `
		client sends GET /1 HTTP/1.1|Host: a||GET /2 HTTP/1.1|Host: a
		replica gets GET /1 HTTP/1.1|Host: a||
		replica answers
		client is answered
		client sends |X-A: b
		client sends ||
		replica gets GET /2 HTTP/1.1|Host: a|X-A: b||
		replica answers
		client is answered
		client stays
		replica stays`},
	{"a body that begins with its request, and with the one before", "RFC 9112 9.3.2", `
		client sends GET /1 HTTP/1.1|Host: a||POST /2 HTTP/1.1|Host: a|Content-Length: 6||
		replica gets GET /1 HTTP/1.1|Host: a||
		replica answers
		client is answered
		client sends ||ok
		replica gets POST /2 HTTP/1.1|Host: a|Content-Length: 6||||ok
		replica answers
		client is answered
		client stays`},
	{"a GET may have a body", "RFC 9110 9.3.1", `
		client sends GET / HTTP/1.1|Host: a|Content-Length: 34||GET /evil HTTP/1.1|Host: evil||
		replica gets GET / HTTP/1.1|Host: a|Content-Length: 34||GET /evil HTTP/1.1|Host: evil||
		replica answers
		client is answered
		client stays`},
	{"a GET may have chunks", "RFC 9112 6.3", `
		client sends GET / HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|hello|0||
		replica gets GET / HTTP/1.1|Host: a|Transfer-Encoding: chunked||hello
		replica answers
		client is answered
		client stays`},
}
