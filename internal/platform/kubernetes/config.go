// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ClientConfig says how the cluster is reached. The settings have the names and
// the meaning that hashicorp/kubernetes gave them: what is set here wins over
// the kubeconfig.
type ClientConfig struct {
	// ConfigPaths are kubeconfig files, of which the first to say something wins.
	// Where none is given, and no Host, the environment is asked: KUBE_CONFIG_PATHS,
	// KUBE_CONFIG_PATH, KUBECONFIG, and at last the service account of the pod that
	// this process runs in. There is no default file and no default host.
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
	// Insecure takes any certificate of the server.
	Insecure bool
	ProxyURL string
	// Exec is a program that gives credentials; nil is none.
	Exec *ExecConfig
}

// ExecConfig is a credential plugin of client-go.
type ExecConfig struct {
	APIVersion string
	Command    string
	Args       []string
	Env        map[string]string
}

// ErrNoCluster: nothing says which cluster to use.
var ErrNoCluster = errors.New("no cluster is configured: set config_path or host, or KUBE_CONFIG_PATH in the environment")

// ConfigError is a setting that leads to no cluster.
type ConfigError struct {
	// Setting is its name in the provider's kubernetes block: "config_path".
	Setting string
	Err     error
}

func (e *ConfigError) Error() string { return e.Setting + ": " + e.Err.Error() }

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *ConfigError) Unwrap() error { return e.Err }

// load returns what client-go needs. It reads files and connects to nothing.
func (c ClientConfig) load() (*rest.Config, error) {
	overrides, err := c.overrides()
	if err != nil {
		return nil, err
	}
	paths, setting := c.paths()
	if len(paths) == 0 && c.Host == "" {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, ErrNoCluster
		}
		return config, err
	}
	files, err := readKubeconfigs(paths)
	if err != nil {
		return nil, &ConfigError{setting, err}
	}
	if _, known := files.Contexts[c.Context]; c.Context != "" && !known {
		return nil, &ConfigError{"config_context", fmt.Errorf("there is no context %q in %s", c.Context, strings.Join(paths, ", "))}
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*files, c.Context, overrides, nil).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, &ConfigError{setting, ErrNoCluster}
	}
	if err != nil {
		return nil, &ConfigError{setting, err}
	}
	return config, nil
}

// paths returns the kubeconfig files and the setting that named them.
func (c ClientConfig) paths() (paths []string, setting string) {
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

func readKubeconfigs(paths []string) (*clientcmdapi.Config, error) {
	if len(paths) == 0 {
		return clientcmdapi.NewConfig(), nil
	}
	rules := &clientcmd.ClientConfigLoadingRules{}
	for _, path := range paths {
		path, err := expand(path)
		if err != nil {
			return nil, err
		}
		// The loading rules pass over a file that is missing; a typing error would
		// then lead to another cluster.
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		rules.Precedence = append(rules.Precedence, path)
	}
	return rules.Load()
}

// expand replaces a leading ~ by the home directory.
func expand(path string) (string, error) {
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

func (c ClientConfig) overrides() (*clientcmd.ConfigOverrides, error) {
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
		host, _, err := rest.DefaultServerURL(c.Host, "", gv, secure)
		if err != nil {
			return nil, &ConfigError{"host", err}
		}
		overrides.ClusterInfo.Server = host.String()
	}
	if c.ProxyURL != "" {
		if _, err := url.Parse(c.ProxyURL); err != nil {
			// The error would show the URL, which may hold a password.
			return nil, &ConfigError{"proxy_url", errors.New("is no URL")}
		}
	}
	if c.Exec != nil {
		plugin := &clientcmdapi.ExecConfig{
			APIVersion: c.Exec.APIVersion, Command: c.Exec.Command, Args: c.Exec.Args,
			// A provider has no terminal to ask at.
			InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		}
		for name, value := range c.Exec.Env {
			plugin.Env = append(plugin.Env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
		}
		overrides.AuthInfo.Exec = plugin
	}
	return overrides, nil
}
