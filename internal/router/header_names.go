// SPDX-License-Identifier: MPL-2.0

package router

import (
	"net/http"
	"net/textproto"
	"strings"
)

// headerKind says who sets a header of a request.
type headerKind int

const (
	// ownHeader is set by the router alone: it frames the message, or it is meant for the
	// next hop only (RFC 9110 7.6.1).
	ownHeader headerKind = iota + 1
	// claimHeader tells a service who the client is or what it has asked for. A client could
	// forge it, and most proxies pass it on, so it never passes.
	claimHeader
	// forwardedHeader is one that a proxy sets to tell about its client. It passes from a
	// trusted proxy.
	forwardedHeader
)

// headerKinds are the headers of a request that do not simply pass.
var headerKinds = map[string]headerKind{
	"Connection": ownHeader, "Content-Length": ownHeader, "Host": ownHeader,
	"Http2-Settings": ownHeader, "Keep-Alive": ownHeader, "Proxy-Authenticate": ownHeader,
	"Proxy-Authorization": ownHeader, "Proxy-Connection": ownHeader, "Te": ownHeader,
	"Trailer": ownHeader, "Transfer-Encoding": ownHeader, "Upgrade": ownHeader,
	// Written by requestHeaders.
	"X-Request-Id": ownHeader,
	"Forwarded":    ownHeader, "X-Forwarded-For": ownHeader, "X-Forwarded-Host": ownHeader,
	"X-Forwarded-Proto": ownHeader,

	"Cf-Connecting-Ip": claimHeader, "Client-Ip": claimHeader, "Fastly-Client-Ip": claimHeader,
	"Front-End-Https": claimHeader, "True-Client-Ip": claimHeader, "X-Client-Ip": claimHeader,
	"X-Cluster-Client-Ip": claimHeader, "X-Forwarded": claimHeader, "X-Host": claimHeader,
	"X-Original-Forwarded-For": claimHeader,
	"X-Original-Host":          claimHeader, "X-Original-Url": claimHeader, "X-Real-Ip": claimHeader,
	"X-Rewrite-Url": claimHeader, "X-Scheme": claimHeader, "X-Url-Scheme": claimHeader,
	// A CGI program would take it for the setting HTTP_PROXY (CVE-2016-5385).
	"Proxy": claimHeader,
}

// kindOf returns the kind of a header with a canonical name, 0 for one that passes.
func kindOf(name string) headerKind {
	if kind := headerKinds[name]; kind != 0 {
		return kind
	}
	if strings.HasPrefix(name, "X-Forwarded-") {
		return forwardedHeader
	}
	return 0
}

// canPass reports whether a header or a trailer of a request is passed on. A name that a
// gateway such as WSGI, Rack, CGI or PHP reads as one of another kind never does: they
// take "X_Forwarded_For" for X-Forwarded-For.
func canPass(name string, isTrusted bool) bool {
	switch kindOf(name) {
	case ownHeader, claimHeader:
		return false
	case forwardedHeader:
		return isTrusted
	}
	if strings.IndexFunc(name, isOddInName) < 0 {
		return true
	}
	spelled := strings.Map(func(r rune) rune {
		if isOddInName(r) {
			return '-'
		}
		return r
	}, name)
	return kindOf(textproto.CanonicalMIMEHeaderKey(spelled)) == 0
}

// isOddInName reports whether a gateway replaces this character in a name of a header.
func isOddInName(r rune) bool {
	isPlain := r == '-' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !isPlain
}

// hopHeaders are the headers of an answer that are meant for the router alone.
var hopHeaders = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// isListed reports whether a header with a comma-separated list has a token.
func isListed(values []string, token string) bool {
	for _, value := range values {
		for value != "" {
			var item string
			item, value, _ = strings.Cut(value, ",")
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// requestedUpgrade returns the protocols that a request may upgrade its connection to, ""
// for none. HTTP/2 is not among them: all further requests of the client would then go to
// this replica, past the switch and past the router's headers.
func requestedUpgrade(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.ContentLength != 0 || !isListed(r.Header["Connection"], "upgrade") {
		return ""
	}
	var allowed []string
	for _, value := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(value, ",") {
			protocol = strings.TrimSpace(protocol)
			name, _, _ := strings.Cut(strings.ToLower(protocol), "/")
			if name != "" && name != "http" && !strings.HasPrefix(name, "h2") {
				allowed = append(allowed, protocol)
			}
		}
	}
	return strings.Join(allowed, ", ")
}
