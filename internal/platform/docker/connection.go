// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/context"
	contextdocker "github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/moby/moby/client"
)

// Connection says which engine to connect to, and how. The zero value is the engine that
// the docker command uses: DOCKER_HOST, else DOCKER_CONTEXT, else the context that
// `docker context use` selected, else the default socket.
type Connection struct {
	// Host is unix:///path, npipe:////./pipe/name, tcp://host:port or ssh://user@host.
	Host string
	// Context is a context of the docker command. Host overrides it.
	Context string
	// CertPath is a directory with ca.pem, cert.pem and key.pem for tcp. The default is
	// DOCKER_CERT_PATH. CA, Cert and Key are the contents in PEM and override it. With
	// any of them the connection uses TLS and verifies the server's certificate.
	CertPath      string
	CA, Cert, Key string
	// SSHOptions are arguments of the ssh command, such as "-o", "StrictHostKeyChecking=yes".
	SSHOptions []string
	// Registries are credentials for pulling images. Any other registry gets the
	// credentials that `docker login` has stored.
	Registries []Registry
}

// Registry holds the credentials of a registry that requires a login.
type Registry struct {
	// Address is the registry's host, with its port if it has one.
	Address            string
	Username, Password string
}

// engine is the client of a Docker engine. It connects at the first call.
type engine struct {
	*client.Client
	// address is the engine's name in errors.
	address string
}

// open returns the engine. It does not connect.
func (c Connection) open() (*engine, error) {
	endpoint, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	var opts []client.Opt
	if strings.HasPrefix(endpoint.Host, "ssh://") {
		opts, err = sshClientOptions(endpoint.Host, c.SSHOptions)
	} else {
		opts, err = endpoint.ClientOpts()
	}
	if err != nil {
		return nil, fmt.Errorf("docker host %s: %w", endpoint.Host, err)
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("docker host %s: %w", endpoint.Host, err)
	}
	return &engine{api, endpoint.Host}, nil
}

// endpoint returns the engine's address and the certificates to use there.
func (c Connection) endpoint() (contextdocker.Endpoint, error) {
	host := c.Host
	if host == "" && c.Context == "" {
		host = os.Getenv(client.EnvOverrideHost)
	}
	name := cmp.Or(c.Context, os.Getenv("DOCKER_CONTEXT"))
	if host == "" && name == "" {
		name = config.LoadDefaultConfigFile(io.Discard).CurrentContext
	}
	if host == "" && name != "" && name != "default" {
		return contextEndpoint(name)
	}
	endpoint := contextdocker.Endpoint{
		EndpointMeta: contextdocker.EndpointMeta{Host: cmp.Or(host, client.DefaultDockerHost)},
	}
	if !strings.HasPrefix(endpoint.Host, "tcp://") {
		return endpoint, nil
	}
	var err error
	endpoint.TLSData, err = c.certificates()
	return endpoint, err
}

// contextEndpoint returns the endpoint of a context of the docker command.
func contextEndpoint(name string) (contextdocker.Endpoint, error) {
	contexts := store.New(config.ContextStoreDir(), store.NewConfig(
		func() any { return &struct{}{} },
		store.EndpointTypeGetter(contextdocker.DockerEndpoint, func() any { return &contextdocker.EndpointMeta{} }),
	))
	metadata, err := contexts.GetMetadata(name)
	if err != nil {
		return contextdocker.Endpoint{}, fmt.Errorf("docker context %q: %w", name, err)
	}
	meta, err := contextdocker.EndpointFromContext(metadata)
	if err != nil {
		return contextdocker.Endpoint{}, fmt.Errorf("docker context %q: %w", name, err)
	}
	return contextdocker.WithTLSData(contexts, name, meta)
}

// certificates returns the certificates of a TLS connection, or nil for one without TLS.
func (c Connection) certificates() (*context.TLSData, error) {
	if c.CA != "" || c.Cert != "" || c.Key != "" {
		return &context.TLSData{CA: pemBytes(c.CA), Cert: pemBytes(c.Cert), Key: pemBytes(c.Key)}, nil
	}
	dir := cmp.Or(c.CertPath, os.Getenv(client.EnvOverrideCertPath))
	if dir == "" && os.Getenv(client.EnvTLSVerify) != "" {
		dir = config.Dir()
	}
	if dir == "" {
		return nil, nil
	}
	var data context.TLSData
	for name, content := range map[string]*[]byte{"ca.pem": &data.CA, "cert.pem": &data.Cert, "key.pem": &data.Key} {
		read, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("certificates: %w", err)
		}
		*content = read
	}
	if data.CA == nil && data.Cert == nil {
		return nil, fmt.Errorf("certificates: %s has neither ca.pem nor cert.pem", dir)
	}
	return &data, nil
}

// pemBytes returns nil for an empty string.
func pemBytes(pem string) []byte {
	if pem == "" {
		return nil
	}
	return []byte(pem)
}
