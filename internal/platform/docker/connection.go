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

// Connection is which engine to talk to, and how. The zero value is the one that
// the docker command talks to: DOCKER_HOST, else DOCKER_CONTEXT, else the context
// that `docker context use` chose, else the default socket.
type Connection struct {
	// Host is unix:///path, npipe:////./pipe/name, tcp://host:port or ssh://user@host.
	Host string
	// Context is a context of the docker command. Host goes before it.
	Context string
	// CertPath is a directory with ca.pem, cert.pem and key.pem for tcp; the
	// default is DOCKER_CERT_PATH. CA, Cert and Key are the same in PEM and go
	// before it. With any of them the connection is TLS, and the server's
	// certificate is always verified.
	CertPath      string
	CA, Cert, Key string
	// SSHOptions go to the ssh command, such as "-o", "StrictHostKeyChecking=yes".
	SSHOptions []string
	// Registries are credentials for pulling. For a registry that is not among
	// them, those that `docker login` has stored are used.
	Registries []Registry
}

// Registry is how to pull from a registry that wants a login.
type Registry struct {
	// Address is the registry's host, with its port if it has one.
	Address            string
	Username, Password string
}

// engine is a Docker engine. It is connected to when it is first asked something.
type engine struct {
	*client.Client
	// address is how errors call it.
	address string
}

// open returns the engine without connecting to it.
func (c Connection) open() (*engine, error) {
	endpoint, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	var opts []client.Opt
	if strings.HasPrefix(endpoint.Host, "ssh://") {
		opts, err = overSSH(endpoint.Host, c.SSHOptions)
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

// endpoint is the engine's address and the certificates to use there.
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
		return fromContext(name)
	}
	endpoint := contextdocker.Endpoint{EndpointMeta: contextdocker.EndpointMeta{Host: cmp.Or(host, client.DefaultDockerHost)}}
	if !strings.HasPrefix(endpoint.Host, "tcp://") {
		return endpoint, nil
	}
	var err error
	endpoint.TLSData, err = c.certificates()
	return endpoint, err
}

func fromContext(name string) (contextdocker.Endpoint, error) {
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

// certificates is nil where the connection is to be without TLS.
func (c Connection) certificates() (*context.TLSData, error) {
	if c.CA != "" || c.Cert != "" || c.Key != "" {
		return &context.TLSData{CA: given(c.CA), Cert: given(c.Cert), Key: given(c.Key)}, nil
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

// given is nil for what was not given.
func given(pem string) []byte {
	if pem == "" {
		return nil
	}
	return []byte(pem)
}
