// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Config says how the cluster is reached. The settings have the same names and meaning as
// in the provider hashicorp/kubernetes. A setting here takes precedence over the
// kubeconfig.
type Config struct {
	// ConfigPaths are kubeconfig files. If several files have a setting, the first one
	// wins. Without any file and without a Host, the environment is used:
	// KUBE_CONFIG_PATHS, KUBE_CONFIG_PATH, KUBECONFIG, and last the service account of
	// the pod that this process runs in. There is no default file and no default host.
	ConfigPaths []string
	// Context is the kubeconfig's context to use instead of its current one.
	Context string

	// Host is the address of the API server, as a host or a URL.
	Host  string
	Token string
	// Certificates and the key are PEM.
	ClusterCACertificate string
	ClientCertificate    string
	ClientKey            string
	// Insecure accepts any certificate of the server.
	Insecure bool
	ProxyURL string
	// Exec is a program that returns credentials; nil is none.
	Exec *ExecConfig

	// WrapTransport wraps the transport of all requests except port-forward and exec. It
	// may be nil. What it returns should implement net.RoundTripperWrapper.
	WrapTransport func(http.RoundTripper) http.RoundTripper
	// LocalTime is the clock of this machine, by which a lease runs out; nil is time.Now.
	LocalTime func() time.Time
}

// ExecConfig is a credential plugin of client-go.
type ExecConfig struct {
	APIVersion string
	Command    string
	Args       []string
	Env        map[string]string
}

// errNoCluster means that no setting and no variable names a cluster.
var errNoCluster = errors.New(
	"no cluster is configured: set config_path or host, or KUBE_CONFIG_PATH in the environment")

// ConfigError reports a setting that cannot be used.
type ConfigError struct {
	// Setting is the name of the setting in the kubernetes block of the provider, such as
	// "config_path".
	Setting string
	Err     error
}

func (e *ConfigError) Error() string { return e.Setting + ": " + e.Err.Error() }

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *ConfigError) Unwrap() error { return e.Err }

// anyVersion is a version for completing a host to a URL. The URL does not depend on it.
var anyVersion = schema.GroupVersion{Version: "v1"}

// load returns what client-go needs. It reads files and connects to nothing.
func (c Config) load() (*rest.Config, error) {
	overrides, err := c.overrides()
	if err != nil {
		return nil, err
	}
	paths, setting := c.paths()
	if len(paths) == 0 && c.Host == "" {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errNoCluster
		}
		return config, err
	}
	files, err := readKubeconfigs(paths)
	if err != nil {
		return nil, &ConfigError{setting, err}
	}
	if _, exists := files.Contexts[c.Context]; c.Context != "" && !exists {
		err := fmt.Errorf("there is no context %q in %s", c.Context, strings.Join(paths, ", "))
		return nil, &ConfigError{"config_context", err}
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*files, c.Context, overrides, nil).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, &ConfigError{setting, errNoCluster}
	}
	if err != nil {
		return nil, &ConfigError{setting, err}
	}
	return config, nil
}

// paths returns the kubeconfig files and the setting that named them.
func (c Config) paths() (paths []string, setting string) {
	if len(c.ConfigPaths) > 0 || c.Host != "" {
		return c.ConfigPaths, "config_path"
	}
	for _, setting := range []string{"KUBE_CONFIG_PATHS", "KUBE_CONFIG_PATH", clientcmd.RecommendedConfigPathEnvVar} {
		if paths := filepath.SplitList(os.Getenv(setting)); len(paths) > 0 {
			return paths, setting
		}
	}
	return nil, ""
}

// readKubeconfigs merges the files as kubectl does.
func readKubeconfigs(paths []string) (*clientcmdapi.Config, error) {
	if len(paths) == 0 {
		return clientcmdapi.NewConfig(), nil
	}
	rules := &clientcmd.ClientConfigLoadingRules{}
	for _, path := range paths {
		path, err := expandHome(path)
		if err != nil {
			return nil, err
		}
		// The loading rules would skip a missing file. A typing error could then lead to
		// another cluster.
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		rules.Precedence = append(rules.Precedence, path)
	}
	return rules.Load()
}

// expandHome replaces a leading ~ by the home directory.
func expandHome(path string) (string, error) {
	rest, found := strings.CutPrefix(path, "~")
	if !found || (rest != "" && rest[0] != filepath.Separator) {
		return path, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("expanding %s: %w", path, err)
	}
	return home + rest, nil
}

// overrides returns the settings that take precedence over the kubeconfig.
func (c Config) overrides() (*clientcmd.ConfigOverrides, error) {
	overrides := &clientcmd.ConfigOverrides{
		ClusterInfo: clientcmdapi.Cluster{
			InsecureSkipTLSVerify:    c.Insecure,
			CertificateAuthorityData: []byte(c.ClusterCACertificate),
			ProxyURL:                 c.ProxyURL,
		},
		AuthInfo: clientcmdapi.AuthInfo{
			Token:                 c.Token,
			ClientCertificateData: []byte(c.ClientCertificate),
			ClientKeyData:         []byte(c.ClientKey),
		},
	}
	if c.Host != "" {
		secure := c.Insecure || c.ClusterCACertificate != "" || c.ClientCertificate != ""
		host, _, err := rest.DefaultServerURL(c.Host, "", anyVersion, secure)
		if err != nil {
			return nil, &ConfigError{"host", err}
		}
		overrides.ClusterInfo.Server = host.String()
	}
	if c.ProxyURL != "" {
		if _, err := url.Parse(c.ProxyURL); err != nil {
			// The error would show the URL, which may contain a password.
			return nil, &ConfigError{"proxy_url", errors.New("is not a valid URL")}
		}
	}
	if c.Exec != nil {
		plugin := &clientcmdapi.ExecConfig{
			APIVersion: c.Exec.APIVersion, Command: c.Exec.Command, Args: c.Exec.Args,
			// A provider has no terminal to ask questions on.
			InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		}
		for name, value := range c.Exec.Env {
			plugin.Env = append(plugin.Env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
		}
		overrides.AuthInfo.Exec = plugin
	}
	return overrides, nil
}
