// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// requireProxies is the environment variable that makes a missing proxy a failure.
const requireProxies = "BLUEGREEN_REQUIRE_PROXIES"

// The addresses of the tests behind a proxy. The router trusts routerHost, from where a proxy
// connects to it, and not clientHost, from where all clients come. Nobody connects from
// proxyHost, so a free port there stays free.
const (
	routerHost = "127.0.0.1"
	clientHost = "127.0.0.9"
	proxyHost  = "127.0.0.10"
)

// shopHost is the name of the service in examples/behind-a-proxy.
const shopHost = "shop.example.com"

// site is a proxy in front of a router, as its clients see it.
type site struct {
	t       *testing.T
	name    string
	address string
	// roots are the certificates that its clients trust.
	roots *x509.CertPool
	// dir has all files of the proxy.
	dir string
}

// newSite returns a site where no proxy runs yet.
func newSite(t *testing.T, name string) *site {
	t.Helper()
	listener, err := net.Listen("tcp", proxyHost+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return &site{t: t, name: name, address: listener.Addr().String(), dir: t.TempDir()}
}

// startNginx starts nginx with the site of the example.
func startNginx(t *testing.T, router string) *site {
	t.Helper()
	program := findProxy(t, "nginx")
	s := newSite(t, "nginx")
	s.writeCertificate()
	s.copyExample("nginx.conf",
		"listen 443 ", "listen "+s.address+" ",
		"/etc/ssl/", s.dir+"/",
		"127.0.0.1:8080", router)
	s.write("main.conf", `
		daemon off;
		master_process off;
		pid nginx.pid;
		events {}
		http {
			access_log off;
			client_body_temp_path client_body;
			proxy_temp_path proxy;
			fastcgi_temp_path fastcgi;
			uwsgi_temp_path uwsgi;
			scgi_temp_path scgi;
			include nginx.conf;
		}
	`)
	s.start(program, "-e", "stderr", "-p", s.dir, "-c", filepath.Join(s.dir, "main.conf"))
	return s
}

// startCaddy starts Caddy with the site of the example. It makes its own certificate.
func startCaddy(t *testing.T, router string) *site {
	t.Helper()
	program := findProxy(t, "caddy")
	s := newSite(t, "caddy")
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	s.copyExample("Caddyfile",
		shopHost+" {", "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n"+
			"https://"+shopHost+":"+port+" {\n\tbind "+proxyHost,
		"127.0.0.1:8080", router)
	s.start(program, "run", "--adapter", "caddyfile", "--config", filepath.Join(s.dir, "Caddyfile"))
	return s
}

// startHAProxy starts HAProxy with one of the examples.
func startHAProxy(t *testing.T, example, router string) *site {
	t.Helper()
	program := findProxy(t, "haproxy")
	s := newSite(t, example)
	s.writeCertificate()
	s.copyExample(example,
		"bind :443 ", "bind "+s.address+" ",
		"/etc/haproxy/", s.dir+"/",
		"127.0.0.1:8080", router)
	s.start(program, "-db", "-f", filepath.Join(s.dir, example))
	return s
}

// findProxy returns the path of a program. Without it, the test is skipped, or fails if the
// proxies are required.
func findProxy(t *testing.T, name string) string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err == nil {
		return program
	}
	if os.Getenv(requireProxies) != "" {
		t.Fatalf("%v, and %s is set", err, requireProxies)
	}
	t.Skipf("NOT TESTED behind %s (`make proxies` installs it): %v", name, err)
	return ""
}

// readExample returns a file of examples/behind-a-proxy, with each of these texts replaced by
// the one after it.
func readExample(t *testing.T, name string, replacements ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(examplesDir, "behind-a-proxy", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(string(content), replacements[i]) {
			t.Fatalf("%s does not contain %q", name, replacements[i])
		}
	}
	return strings.NewReplacer(replacements...).Replace(string(content))
}

func (s *site) copyExample(name string, replacements ...string) {
	s.t.Helper()
	s.write(name, readExample(s.t, name, replacements...))
}

func (s *site) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// writeCertificate writes shop.example.com.pem, with the certificate and its key, and
// shop.example.com.key, with the key alone. The clients trust the certificate.
func (s *site) writeCertificate() {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{shopHost},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	shown := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	hidden := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	s.write(shopHost+".pem", string(shown)+string(hidden))
	s.write(shopHost+".key", string(hidden))
}

// start starts the proxy, and returns when it serves TLS. It ends with the test.
func (s *site) start(program string, arguments ...string) {
	s.t.Helper()
	command := exec.Command(program, arguments...)
	command.Dir = s.dir
	// Caddy has its CA below its home directory.
	command.Env = append(os.Environ(), "HOME="+s.dir, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	// The proxy dies with the tests, even if these are killed.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait()
	}()
	s.t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", s.name, output.String())
		}
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), waitLimit)
	defer cancel()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		select {
		case <-ended:
			return struct{}{}, backoff.Permanent(errors.New("it has ended"))
		default:
			return struct{}{}, s.shakeHands(ctx)
		}
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollInterval)))
	if err != nil {
		s.t.Fatalf("%s does not serve TLS: %v", s.name, err)
	}
}

// caddyRoot is where Caddy has the certificate of its CA, below its data directory.
const caddyRoot = "caddy/pki/authorities/local/root.crt"

// shakeHands returns an error unless the proxy has a certificate that clients trust.
func (s *site) shakeHands(ctx context.Context) error {
	trusted, err := os.ReadFile(filepath.Join(s.dir, shopHost+".pem"))
	if errors.Is(err, fs.ErrNotExist) {
		trusted, err = os.ReadFile(filepath.Join(s.dir, caddyRoot))
	}
	if err != nil {
		return err
	}
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(trusted)
	conn, err := (&tls.Dialer{Config: s.tls()}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (s *site) tls() *tls.Config { return &tls.Config{ServerName: shopHost, RootCAs: s.roots} }

// client returns a client at clientHost that speaks one version of HTTP.
func (s *site) client(version int) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP1(version == 1)
	protocols.SetHTTP2(version == 2)
	transport := &http.Transport{
		TLSClientConfig: s.tls(),
		Protocols:       &protocols,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialFrom(ctx, clientHost, network, s.address)
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: waitLimit}
}

// dialFrom connects to an address from another address of this machine.
func dialFrom(ctx context.Context, host, network, address string) (net.Conn, error) {
	from := &net.TCPAddr{IP: net.ParseIP(host)}
	return (&net.Dialer{LocalAddr: from}).DialContext(ctx, network, address)
}
