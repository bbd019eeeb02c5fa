// SPDX-License-Identifier: MPL-2.0

package router_test

// forged builds the story of a field that the client has no right to send.
func forged(field string) story {
	return story{"forged " + field, "the router trusts nobody by default", `
		client sends GET / HTTP/1.1|Host: a|` + field + `||
		replica gets GET / HTTP/1.1|Host: a||
		replica answers
		client is answered
		client stays
		replica stays`}
}

// claims are requests that say something about who sent them, and to whom.
var claims = []story{
	{"the replica learns who asks", "draft of the fields: RFC 7239", `
		client sends GET /forwarded HTTP/1.1|Host: shop.example:81||
		replica gets GET /forwarded HTTP/1.1|Host: shop.example:81|X-Forwarded-For: 127.0.0.1|
		+ X-Forwarded-Host: shop.example:81|X-Forwarded-Proto: http||
		replica answers
		client is answered`},
	forged("Forwarded: for=192.0.2.1"),
	forged("X-Forwarded-For: 192.0.2.1"),
	forged("X-Forwarded-Host: evil"),
	forged("X-Forwarded-Proto: https"),
	forged("X-Forwarded-Port: 443"),
	forged("X-Forwarded-Prefix: /admin"),
	forged("X-Forwarded-Scheme: https"),
	forged("X-Forwarded-Server: evil"),
	forged("X-Forwarded-Ssl: on"),
	forged("X-Forwarded-User: root"),
	forged("X-Forwarded-Uri: /admin"),
	forged("X-Forwarded-Method: DELETE"),
	forged("X-Real-Ip: 192.0.2.1"),
	forged("Client-Ip: 192.0.2.1"),
	forged("X-Client-Ip: 192.0.2.1"),
	forged("True-Client-Ip: 192.0.2.1"),
	forged("Cf-Connecting-Ip: 192.0.2.1"),
	forged("X-Original-Url: /admin"),
	forged("X-Rewrite-Url: /admin"),
	forged("Front-End-Https: on"),
	forged("X_Forwarded_For: 192.0.2.1"),
	forged("X-Forwarded_For: 192.0.2.1"),
	forged("x_forwarded_proto: https"),
	forged("X_Forwarded_Host: evil"),
	forged("X_Real_IP: 192.0.2.1"),
	forged("Client_IP: 192.0.2.1"),
	{"a name of the client's own may have an underscore", "nothing reads it as another", `
		client sends GET / HTTP/1.1|Host: a|X_Tenant: 7||
		replica gets GET / HTTP/1.1|Host: a|X_Tenant: 7||
		replica answers
		client is answered`},
	{"Connection cannot take away what the router says", "RFC 9110 7.6.1", `
		client sends GET /forwarded HTTP/1.1|Host: a|
		+ Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Host||
		replica gets GET /forwarded HTTP/1.1|Host: a|X-Forwarded-For: 127.0.0.1|X-Forwarded-Host: a|
		+ X-Forwarded-Proto: http||
		replica answers
		client is answered`},
	refused("two Hosts", "RFC 9112 3.2", `GET / HTTP/1.1|Host: a|Host: b||`),
	refused("no Host", "RFC 9112 3.2", `GET / HTTP/1.1||`),
	refused("Host with a space", "RFC 9112 3.2", `GET / HTTP/1.1|Host: a b||`),
	refused("Host with a path", "RFC 9112 3.2", `GET / HTTP/1.1|Host: a/evil||`),
	{"the target's host wins", "RFC 9112 3.2.2", `
		client sends GET http://b/x?y HTTP/1.1|Host: a||
		replica gets GET /x?y HTTP/1.1|Host: b|| or GET http://b/x?y HTTP/1.1|Host: b||
		replica answers
		client is answered`},
	{"HTTP/1.0 without Host", "RFC 9112 3.2: an empty Host, and nothing is invented", `
		client sends GET /forwarded HTTP/1.0||
		replica gets GET /forwarded HTTP/1.1|Host: |X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http||
		replica answers
		client gets 200|Connection: close|Content-Length: 2||ok
		client goes`},
	{"empty Host", "RFC 9112 3.2", `
		client sends GET /forwarded HTTP/1.1|Host:||
		replica gets GET /forwarded HTTP/1.1|Host: |X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http||
		replica answers
		client is answered`},
}
