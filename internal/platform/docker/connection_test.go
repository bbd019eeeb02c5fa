// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/dockerapi"
)

// clearDockerEnvironment hides the user's configuration of the docker command.
func clearDockerEnvironment(t *testing.T) (configDir string) {
	t.Helper()
	dir := t.TempDir()
	former := config.Dir()
	config.SetDir(dir)
	t.Cleanup(func() { config.SetDir(former) })
	for _, name := range []string{
		"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION",
	} {
		t.Setenv(name, "")
	}
	return dir
}

// writeContext stores a context of the docker command.
func writeContext(t *testing.T, dir, name, host string) {
	t.Helper()
	endpoints := map[string]any{"docker": map[string]any{"Host": host}}
	content, err := json.Marshal(map[string]any{"Name": name, "Endpoints": endpoints})
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "contexts", "meta", digest.FromString(name).Encoded())
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, "meta.json"), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEngineIsTheOneOfTheDockerCommand(t *testing.T) {
	dir := clearDockerEnvironment(t)
	writeContext(t, dir, "remote", "tcp://context.example:2375")
	address := func(c Connection) string {
		t.Helper()
		e, err := c.open()
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		return e.address
	}
	steps := []struct {
		what       string
		change     func()
		connection Connection
		want       string
	}{
		{"nothing set", func() {}, Connection{}, client.DefaultDockerHost},
		{"docker context use", func() {
			path, content := filepath.Join(dir, "config.json"), []byte(`{"currentContext":"remote"}`)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}, Connection{}, "tcp://context.example:2375"},
		{"DOCKER_CONTEXT", func() { t.Setenv("DOCKER_CONTEXT", "default") }, Connection{}, client.DefaultDockerHost},
		{"DOCKER_HOST", func() {
			t.Setenv("DOCKER_HOST", "tcp://variable.example:2375")
		}, Connection{}, "tcp://variable.example:2375"},
		{"context in the configuration", func() {}, Connection{Context: "remote"}, "tcp://context.example:2375"},
		{
			"host in the configuration", func() {},
			Connection{Context: "remote", Host: "ssh://me@host.example"}, "ssh://me@host.example",
		},
	}
	for _, step := range steps {
		step.change()
		if got := address(step.connection); got != step.want {
			t.Errorf("%s: the engine is %s, want %s", step.what, got, step.want)
		}
	}
}

func TestUnknownContextIsNamed(t *testing.T) {
	clearDockerEnvironment(t)
	_, err := Connection{Context: "nowhere"}.open()
	if err == nil || !strings.Contains(err.Error(), `docker context "nowhere"`) {
		t.Errorf("got %v", err)
	}
}

func TestUnreachableEngineIsNamed(t *testing.T) {
	clearDockerEnvironment(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	for _, host := range []string{"unix://" + filepath.Join(t.TempDir(), "no.sock"), "tcp://" + closed} {
		p, err := New(Options{Name: "web", Connection: Connection{Host: host}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		_, err = p.Observe(t.Context())
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Address != host || !strings.Contains(err.Error(), host) {
			t.Errorf("%s: got %v", host, err)
		}
		verdict := p.Ready(t.Context(), bluegreen.Instance{ID: "green-1", Incarnation: "some"})
		if err := verdict[dockerapi.Healthcheck]; !errors.Is(err, bluegreen.ErrCouldNotAsk) {
			t.Errorf("%s: the readiness is %v", host, err)
		}
	}
}

// tlsEngine starts a server that answers like an engine that requires TLS.
func tlsEngine(t *testing.T) (address string, ca []byte) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.41")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return "tcp://" + server.Listener.Addr().String(), ca
}

func TestTLS(t *testing.T) {
	clearDockerEnvironment(t)
	address, ca := tlsEngine(t)
	otherCA := string(unknownCA(t))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		connection Connection
		// wantErr is "" if the engine answers.
		wantErr string
	}{
		"material":           {Connection{Host: address, CA: string(ca)}, ""},
		"directory":          {Connection{Host: address, CertPath: dir}, ""},
		"another authority":  {Connection{Host: address, CA: otherCA}, "certificate signed by unknown authority"},
		"no certificate":     {Connection{Host: address}, "HTTP request to an HTTPS server"},
		"an empty directory": {Connection{Host: address, CertPath: t.TempDir()}, "neither ca.pem nor cert.pem"},
		"invalid material":   {Connection{Host: address, CA: "invalid"}, "ca.pem seems invalid"},
		"an invalid key": {
			Connection{Host: address, CA: string(ca), Cert: string(ca), Key: "invalid"}, "no valid private key",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := ping(t, c.connection)
			switch {
			case c.wantErr == "" && err != nil:
				t.Errorf("got %v", err)
			case c.wantErr != "" && (err == nil || !strings.Contains(err.Error(), c.wantErr)):
				t.Errorf("got %v, want %q", err, c.wantErr)
			}
		})
	}
}

func ping(t *testing.T, connection Connection) (err error) {
	t.Helper()
	e, err := connection.open()
	if err != nil {
		return err
	}
	defer e.Close()
	defer e.explain(&err)
	_, err = e.Ping(t.Context(), client.PingOptions{})
	return err
}

// unknownCA returns the certificate of an authority that has signed no certificate.
func unknownCA(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}
