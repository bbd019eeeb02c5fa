// SPDX-License-Identifier: MPL-2.0

package health

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// userAgent is the User-Agent of a probe, unless the configured headers have one.
const userAgent = "terraform-provider-bluegreen health check"

func (h *HTTP) check() (check, error) {
	if err := checkPort("http.port", h.Port); err != nil {
		return check{}, err
	}
	request, err := h.request()
	if err != nil {
		return check{}, err
	}
	accept, err := parseStatusCodes(orDefault(h.StatusCodes, DefaultHTTPStatusCodes))
	if err != nil {
		return check{}, configError("http.status_codes", "%s", err)
	}
	probe := &httpProbe{request: request, accept: accept, port: h.Port}
	if request.URL.Scheme == "https" {
		probe.tls = unverifiedTLS(request.URL.Hostname(), "http/1.1")
	}
	// The query may hold a token, so only the path is shown.
	return check{name: "http", subject: request.Method + " " + request.URL.EscapedPath(), probe: probe.run}, nil
}

// request builds the request that every probe sends.
func (h *HTTP) request() (*http.Request, error) {
	scheme := orDefault(h.Scheme, DefaultHTTPScheme)
	if scheme != "http" && scheme != "https" {
		return nil, configError("http.scheme", `%q is neither "http" nor "https"`, scheme)
	}
	target, err := requestURL(scheme, orDefault(h.Host, DefaultHTTPHost), orDefault(h.Path, DefaultHTTPPath))
	if err != nil {
		return nil, err
	}
	header, err := requestHeader(h.Headers)
	if err != nil {
		return nil, err
	}
	return &http.Request{Method: http.MethodGet, URL: target, Host: target.Host, Header: header, Close: true}, nil
}

// requestURL returns the URL to probe. Its errors do not contain the path, because
// the query may hold a token.
func requestURL(scheme, host, path string) (*url.URL, error) {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "#") {
		return nil, configError("http.path", `must begin with "/" and have no "#"`)
	}
	authority, err := url.Parse("//" + host)
	if err != nil || authority.Host != host || authority.Hostname() == "" || !httpguts.ValidHostHeader(host) {
		return nil, configError("http.host", "%q is not a host name, with or without a port", host)
	}
	target, err := url.Parse(scheme + "://" + host + path)
	if err != nil {
		return nil, configError("http.path", "is not the path of a URL: a character in it must be percent-encoded")
	}
	return target, nil
}

// requestHeader returns the header of a probe. Its errors do not contain values,
// because a value may be a secret.
func requestHeader(headers map[string]string) (http.Header, error) {
	header := http.Header{"User-Agent": {userAgent}}
	// The names are sorted, so that the same configuration always gets the same error.
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, configError("http.headers", "%q is not a header name", name)
		}
		if !httpguts.ValidHeaderFieldValue(headers[name]) {
			return nil, configError("http.headers", "the value of %s has characters that a header must not have", name)
		}
		switch canonical := http.CanonicalHeaderKey(name); canonical {
		case "Host":
			return nil, configError("http.headers", "Host has a setting of its own: host")
		case "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Upgrade":
			return nil, configError("http.headers", "%s cannot be set: the probe sets it for its connection", canonical)
		default:
			header.Set(name, headers[name])
		}
	}
	return header, nil
}
