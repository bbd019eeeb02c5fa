// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// badInput is a setting that is refused, with an error on its attribute.
type badInput struct {
	name string
	// attribute is the one that the error points at.
	attribute string
	set       attributes
	wantText  string
}

// refusedByValidate needs nothing but the configuration.
func refusedByValidate() []badInput {
	return []badInput{
		{"name_empty", "name", attributes{"name": `""`}, "DNS label"},
		{"name_path", "name", attributes{"name": `"../web"`}, "DNS label"},
		{"name_upper", "name", attributes{"name": `"Web"`}, "DNS label"},
		{"name_hyphen", "name", attributes{"name": `"web-"`}, "DNS label"},
		{"name_long", "name", attributes{"name": fmt.Sprintf("%q", strings.Repeat("a", 64))}, "DNS label"},
		{"version_empty", "version", attributes{"version": `""`}, "at least 1"},
		{"version_screen", "version", attributes{"version": `"1\u001b[2J"`}, `"1\\x1b\[2J"`},
		{"version_lines", "version", attributes{"version": `"1.0\n2.0"`}, `one line.*"1.0\\n2.0"`},
		{"version_reversed", "version", attributes{"version": `"1\u202e"`}, "control characters"},
		{"image_empty", "image", attributes{"image": `""`}, "at least 1"},
		{"replicas_none", "replicas", attributes{"replicas": "0"}, "at least 1"},
		{"replicas_negative", "replicas", attributes{"replicas": "-1"}, "at least 1"},
		{"command_empty", "command", attributes{"command": "[]"}, "at least 1 element"},
		{"env_port", "env", attributes{"env": `{ PORT = "1" }`}, "none of"},
		{"env_environment", "env", attributes{"env": `{ BLUEGREEN_ENVIRONMENT = "red" }`}, "none of"},
		{"env_equals", "env", attributes{"env": `{ "A=B" = "1" }`}, "name of a variable"},
		{"env_nameless", "env", attributes{"env": `{ "" = "1" }`}, "name of a variable"},
		{
			"env_wo_twice", "env_wo", attributes{"env": `{ A = "1" }`, "env_wo": `{ A = "2" }`, "env_wo_version": "1"},
			"in env as well",
		},
		{
			"headers_wo_twice", `health_check.http.headers_wo["X-Token"]`, attributes{"health_check": `{ http = {
				headers = { "x-token" = "1" }, headers_wo = { "X-Token" = "2" }, headers_wo_version = 1 } }`},
			"in headers as well",
		},
		{"env_wo_alone", "env_wo", attributes{"env_wo": `{ A = "1" }`}, "env_wo_version"},
		{"env_wo_version_alone", "env_wo_version", attributes{"env_wo_version": "1"}, "env_wo"},
		{"env_null", "env", attributes{"env": `{ A = "1", B = null }`}, `The value of "B" is null`},
		{"triggers_null", "triggers", attributes{"triggers": `{ build = null }`}, `The value of "build" is null`},
		{"standby_unknown", "standby", attributes{"standby": `"stop"`}, "keep"},
		{"bake_negative", "bake_time", attributes{"bake_time": `"-1s"`}, "negative"},
		{"bake_unparsable", "bake_time", attributes{"bake_time": `"soon"`}, `number with a unit, .* got:\s"soon"`},
		{"bake_without_unit", "bake_time", attributes{"bake_time": `"10"`}, `number with a unit, .* got:\s"10"`},
		{"bake_too_long", "bake_time", attributes{"bake_time": `"1h"`}, `timeouts\.(create|update)`},
		{
			"bake_after_check", "bake_time",
			attributes{
				"bake_time":    `"25m"`,
				"health_check": `{ http = {}, healthy_threshold = 80, interval = "10s", timeout = "10m", retries = 0 }`,
			},
			`at least 7m\d+\.\d+s, but timeouts\.(create|update)`,
		},
		{"switch_zero", "switch_timeout", attributes{"switch_timeout": `"0s"`}, "longer than zero"},
		{"drain_negative", "drain_timeout", attributes{"drain_timeout": `"-5m"`}, "negative"},
		{"drain_over_delete", "drain_timeout", attributes{"drain_timeout": `"15m"`}, `timeouts\.delete`},
		{
			"drain_over_update", "drain_timeout",
			attributes{"drain_timeout": `"2m"`, "timeouts": `{ update = "2m" }`}, `timeouts\.update`,
		},
		{"user_name", "local.user", onLocal(`{ user = "web app" }`), "name or a number"},
		{"umask_decimal", "local.umask", onLocal(`{ umask = "089" }`), "three octal digits"},
		{"stop_timeout_zero", "local.stop_timeout", onLocal(`{ stop_timeout = "0s" }`), "longer than zero"},
		{
			"stop_timeout_over_delete", "local.stop_timeout",
			attributes{"local": `{ stop_timeout = "2m" }`, "timeouts": `{ delete = "2m" }`}, `timeouts\.delete`,
		},
		{"memory_small", "local.memory", onLocal(`{ memory = "1m" }`), "at least 6 MiB"},
		{"cpus_none", "local.cpus", onLocal(`{ cpus = 0 }`), "at least 0.01"},
		{"stop_signal_unknown", "local.stop_signal", onLocal(`{ stop_signal = "SIGNONE" }`), "no signal .SIGNONE."},
		{"stop_signal_stop", "local.stop_signal", onLocal(`{ stop_signal = "SIGSTOP" }`), "asks no process to end"},
		{"retry_name", "retry", attributes{"retry": `"2.0.0"`}, "ID of a record"},
		{
			"healthy_threshold_over_timeout", "health_check.healthy_threshold",
			healthCheck(`{ http = {}, healthy_threshold = 1000, interval = "2s", timeout = "2s" }`), "one attempt",
		},
		{
			"unhealthy_threshold", "health_check.unhealthy_threshold",
			healthCheck(`{ http = {}, unhealthy_threshold = 0 }`), "between 1 and 100",
		},
		{
			"unhealthy_threshold_over_update", "health_check.unhealthy_threshold",
			attributes{
				"health_check": `{ http = {}, unhealthy_threshold = 100, interval = "1m" }`, "bake_time": `"10s"`,
			},
			`timeouts\.(create|update)`,
		},
		{"history_short", "history_limit", attributes{"history_limit": "1"}, "between 2 and"},
		{"history_long", "history_limit", attributes{"history_limit": "10001"}, "between 2 and 10000"},
		{"timeout_negative", "timeouts.create", attributes{"timeouts": `{ create = "-1m" }`}, "longer than zero"},
		{"timeout_zero", "timeouts.delete", attributes{"timeouts": `{ delete = "0s" }`}, "longer than zero"},
		{"timeout_unparsable", "", attributes{"timeouts": `{ update = "a while" }`}, "a while"},
		{
			"health_deadline", "health_check.timeout",
			healthCheck(`{ http = {}, timeout = "10m" }`), "4 attempts of 10m0s",
		},
		{
			"health_deadline_huge", "health_check.timeout",
			healthCheck(`{ http = {}, timeout = "2000000h", retries = 1000000 }`), "1000001 attempts",
		},
		{
			"health_deadline_update", "health_check.timeout",
			attributes{"health_check": `{ http = {} }`, "timeouts": `{ update = "1m" }`}, `timeouts\.update`,
		},
		{
			"health_percent_zero", "health_check.min_healthy_percent",
			healthCheck(`{ http = {}, min_healthy_percent = 0 }`), "between 1 and 100",
		},
		{
			"health_percent_above", "health_check.min_healthy_percent",
			healthCheck(`{ http = {}, min_healthy_percent = 101 }`), "between 1 and 100",
		},
		{"health_retries", "health_check.retries", healthCheck(`{ http = {}, retries = -1 }`), "between 0"},
		{"health_kind", "health_check", healthCheck(`{ smtp = {}, timeout = "5s" }`), "http, tcp, grpc, exec or ready"},
		{"health_interval", "health_check.interval", healthCheck(`{ http = {}, interval = "0s" }`), "longer than zero"},
		{
			"health_probe_timeout", "health_check.probe_timeout",
			healthCheck(`{ http = {}, probe_timeout = "-1s" }`), "longer than zero",
		},
		{
			"health_threshold", "health_check.healthy_threshold",
			healthCheck(`{ http = {}, healthy_threshold = 0 }`), "between 1",
		},
		{"health_path", "health_check.http.path", healthCheck(`{ http = { path = "healthz" } }`), "must begin with"},
		{"health_scheme", "health_check.http.scheme", healthCheck(`{ http = { scheme = "gopher" } }`), "gopher"},
		{
			"health_tls", "health_check.http.scheme",
			healthCheck(`{ http = { scheme = "https" } }`), `set local.protocol = "tcp"`,
		},
		{
			"health_tls_docker", "health_check.http.scheme",
			attributes{
				"docker":       `{ port = 443, protocol = "http" }`,
				"health_check": `{ http = { scheme = "https" } }`,
			}, `set docker.protocol = "tcp"`,
		},
		{"health_codes", "health_check.http.status_codes", healthCheck(`{ http = { status_codes = "fine" } }`), "fine"},
		{
			"health_headers", "health_check.http.headers",
			healthCheck(`{ http = { headers = { "a b" = "c" } } }`), "header name",
		},
		{"health_no_port", "health_check.tcp.port", healthCheck(`{ tcp = { port = 0 } }`), "at least 1"},
		{"health_ready_local", "health_check.ready", healthCheck(`{ ready = {} }`), "only Kubernetes judges"},
		{"health_none", "health_check", healthCheck(`{}`), "http, tcp, grpc, exec or ready"},
		{"health_unparsable", "", healthCheck(`{ tcp = {}, interval = "soon" }`), `got:\s"soon"`},
		{"health_local_port", "health_check.http.port", healthCheck(`{ http = { port = 9090 } }`), "must not be set"},
		{"health_port", "health_check.tcp.port", healthCheck(`{ tcp = { port = 65536 } }`), "1 to 65535"},
		{
			"health_command", "health_check.exec.command",
			healthCheck(`{ exec = { command = [] } }`), "at least 1 element",
		},
		{"local_protocol", "local.protocol", attributes{"local": `{ protocol = "udp" }`}, "udp"},
		{"response_timeout", "local.response_timeout", onLocal(`{ response_timeout = "-1s" }`), "negative"},
		{"body_none", "local.max_body", onLocal(`{ max_body = "0" }`), "at least 1 byte"},
		{"body_size", "docker.max_body", onDocker(`{ port = 80, max_body = "lots" }`), "10m"},
		{"connections_none", "docker.max_connections", onDocker(`{ port = 80, max_connections = 0 }`), "between 1"},
		{"proxy_name", "local.trusted_proxies[0]", onLocal(`{ trusted_proxies = ["nginx"] }`), "not an IP network"},
		{
			"proxy_address", "local.trusted_proxies[1]",
			onLocal(`{ trusted_proxies = ["10.0.0.0/8", "10.0.0.1"] }`), `for this one address, write "10.0.0.1/32"`,
		},
		{
			"proxy_host_bits", "docker.trusted_proxies[0]",
			onDocker(`{ port = 80, trusted_proxies = ["fd00::1/8"] }`),
			`write "fd00::/8", and for the address "fd00::1/128"`,
		},
		{
			"proxy_mapped", "local.trusted_proxies[0]",
			onLocal(`{ trusted_proxies = ["::ffff:10.0.0.0/104"] }`), "write it as IPv4",
		},
		{
			"proxies_of_tcp", "local.trusted_proxies",
			onLocal(`{ protocol = "tcp", trusted_proxies = ["10.0.0.0/8"] }`), "no headers",
		},
		{
			"proxy_protocol", "local.proxy_protocol",
			onLocal(`{ proxy_protocol = true }`), "local.trusted_proxies must name",
		},
		{
			"proxy_protocol_of_nobody", "docker.proxy_protocol",
			onDocker(`{ port = 80, protocol = "tcp", proxy_protocol = true, trusted_proxies = [] }`),
			"must name the proxies",
		},
		{
			"response_timeout_of_tcp", "docker.response_timeout",
			onDocker(`{ port = 80, protocol = "tcp", response_timeout = "5s" }`), `protocol = "tcp"`,
		},
		{"body_of_tcp", "local.max_body", onLocal(`{ protocol = "tcp", max_body = "1m" }`), `protocol = "tcp"`},
		{"two_platforms", "docker", attributes{"local": "{}", "docker": "{ port = 80 }"}, "cannot be specified when"},
		{"docker_port", "docker.port", attributes{"docker": "{ port = 0 }"}, "between 1 and 65535"},
		{"docker_publish", "docker.publish[0]", onDocker(`{ port = 80, publish = ["80"] }`), "host:port"},
		{"docker_publish_none", "docker.publish", onDocker(`{ port = 80, publish = [] }`), "at least 1"},
		{"docker_pull", "docker.pull", onDocker(`{ port = 80, pull = "sometimes" }`), "sometimes"},
		{"docker_memory", "docker.memory", onDocker(`{ port = 80, memory = "lots" }`), "512m"},
		{"docker_memory_little", "docker.memory", onDocker(`{ port = 80, memory = "1k" }`), "6 MiB"},
		{"docker_cpus", "docker.cpus", onDocker(`{ port = 80, cpus = 0 }`), "at least 0.01"},
		{"docker_hosts", "docker.extra_hosts[0]", onDocker(`{ port = 80, extra_hosts = ["db"] }`), "name:address"},
		{
			"docker_label", `docker.labels["io.github.bluegreen.agent"]`,
			onDocker(`{ port = 80, labels = { "io.github.bluegreen.agent" = "me" } }`), "must not begin with",
		},
		{
			"docker_volume_twice",
			"",
			onDocker(
				`{ port = 80, volumes = [{ container_path = "/d", volume_name = "d", host_path = "/d" }] }`,
			),
			`docker\.volumes\[0\]`,
		},
		{
			"docker_volume_relative", "docker.volumes[0].container_path",
			onDocker(`{ port = 80, volumes = [{ container_path = "data", volume_name = "data" }] }`), "absolute path",
		},
		{
			"docker_health_port", "health_check.http.port",
			attributes{"docker": `{ port = 80 }`, "health_check": `{ http = { port = 9090 } }`}, "must not be set",
		},
		{
			"kubernetes_namespace", "kubernetes.namespace",
			attributes{"kubernetes": `{ port = 80, namespace = "My Shop" }`}, "DNS label",
		},
		{"kubernetes_port", "kubernetes.port", attributes{"kubernetes": `{ port = 65536 }`}, "between 1 and 65535"},
		{
			"kubernetes_service", "kubernetes.service.type",
			attributes{"kubernetes": `{ port = 80, service = { type = "Gateway" } }`}, "NodePort",
		},
		{"kubernetes_template_json", "", attributes{"kubernetes": `{ port = 80, pod_template = "{" }`}, "(?i)json"},
	}
}

func healthCheck(block string) attributes { return attributes{"health_check": block} }

func onLocal(block string) attributes { return attributes{"local": block} }

func onDocker(block string) attributes { return attributes{"docker": block} }

// warnedByPlan may be otherwise on this machine when the apply begins.
func warnedByPlan(t *testing.T) []badInput {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"plain": 0o600, "app.tar.gz": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	leaving := filepath.Join(dir, "leaving")
	if err := errors.Join(os.Mkdir(leaving, 0o700), os.Symlink(dir, filepath.Join(leaving, "out"))); err != nil {
		t.Fatal(err)
	}
	image := func(name string) attributes { return attributes{"image": fmt.Sprintf("%q", filepath.Join(dir, name))} }
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	local := func(settings string) attributes { return attributes{"local": "{ " + settings + " }"} }
	return []badInput{
		{"image_missing", "image", image("missing"), "does not exist"},
		{"image_plain", "image", image("plain"), "not executable"},
		{"image_directory", "image", image("."), "command"},
		{"image_archive", "image", image("app.tar.gz"), "command"},
		{
			"image_link", "image", attributes{"image": fmt.Sprintf("%q", leaving), "command": `["run"]`},
			`link "out" to .*leads out.*local\.follow_links`,
		},
		{"user_unknown", "local.user", local(`user = "no-such-user"`), "no user .no-such-user. on this machine"},
		{"user_unlisted", "local.user", local(`user = "4000123"`), "group must be set"},
		{"listen_taken", "local.listen", local(fmt.Sprintf("listen = %q", listener.Addr())), "in use"},
		{"rollback_at_once", "rollback", attributes{"rollback": "true"}, "No release of this deployment serves yet"},
		{"preview_taken", "local.preview_listen", local(fmt.Sprintf("preview_listen = %q", listener.Addr())), "in use"},
	}
}

// refusedByPlan is refused on every machine.
func refusedByPlan() []badInput {
	kubernetes := func(settings string) attributes { return attributes{"kubernetes": "{ " + settings + " }"} }
	local := func(settings string) attributes { return attributes{"local": "{ " + settings + " }"} }
	return []badInput{
		{"group_alone", "local.group", local(`group = "root"`), "without a user"},
		{"listen_unparsable", "local.listen", local(`listen = "here"`), `is "here": missing port in address`},
		{"listen_port", "local.listen", local(`listen = "127.0.0.1:99999"`), "(?i)port"},
		{
			"listen_twice", "local.preview_listen",
			local(`listen = "127.0.0.1:18999", preview_listen = "127.0.0.1:18999"`), "listen has the same address",
		},
		{
			"kubernetes_node_port", "kubernetes.service.node_port",
			kubernetes("port = 80, service = { node_port = 30080 }"), "NodePort",
		},
		{
			"kubernetes_template", "kubernetes.pod_template",
			kubernetes(`port = 80, pod_template = jsonencode({ spec = { contaners = [] } })`), "contaners",
		},
		{
			"kubernetes_template_labels", "kubernetes.pod_template",
			kubernetes("port = 80, pod_template = jsonencode(" +
				`{ metadata = { labels = { "terraform-provider-bluegreen/environment" = "red" } } })`), "label",
		},
	}
}

// Every bad value is reported before anything is touched.
func TestBadInput(t *testing.T) {
	t.Parallel()
	for command, bad := range map[string]map[string][]badInput{
		"validate": {"error": refusedByValidate()},
		"plan":     {"error": refusedByPlan(), "warning": warnedByPlan(t)},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			h := newLocalHarness(t)
			tf := h.terraform()
			var config strings.Builder
			config.WriteString(h.providerConfig())
			for _, input := range slices.Concat(bad["error"], bad["warning"]) {
				settings := attributes{"name": fmt.Sprintf("%q", strings.ReplaceAll(input.name, "_", "-"))}
				config.WriteString(h.resource(input.name, append([]attributes{settings}, input.set)...))
			}
			tf.write(config.String())
			found := tf.diagnostics(command)
			for severity, inputs := range bad {
				for _, input := range inputs {
					if !input.isReported(severity, found[input.name]) {
						t.Errorf("%s: no %s on %s that says %q, but %v",
							input.name, severity, input.attribute, input.wantText, found[input.name])
					}
				}
			}
			if _, err := os.Stat(h.stateDir); err == nil {
				t.Error("the state directory was made")
			}
			tf.write("")
		})
	}
}

func TestBadStateDirectory(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	// Terraform looks at a provider's configuration when something needs it.
	tf.write(
		fmt.Sprintf(
			"provider \"bluegreen\" {\n  local = { state_dir = %q }\n}\n",
			"/tmp/"+strings.Repeat("long", 30),
		) + h.resource(
			"web",
		),
	)
	if output := tf.mustFail("validate"); !regexp.MustCompile(`state_dir is too long`).MatchString(output) {
		t.Error(output)
	}
	tf.write("")
}

func TestBadPortsOfReplicas(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	configure := func(ports string) {
		block := fmt.Sprintf("provider \"bluegreen\" {\n  local = { replica_ports = %q }\n}\n", ports)
		tf.write(block + h.resource("web"))
	}
	for _, ports := range []string{"80-500", "20000-20050", "20000", "http"} {
		configure(ports)
		if output := tf.mustFail("validate"); !strings.Contains(output, "replica_ports") {
			t.Errorf("%s: %s", ports, output)
		}
	}
	configure("1024-65535")
	if output := tf.must("validate"); !strings.Contains(output, "The system uses these ports as well") {
		t.Error(output)
	}
	tf.write("")
}

// diagnostic is an error or a warning as Terraform shows it to a program.
type diagnostic struct {
	Severity, Summary, Detail string
	Snippet                   struct{ Context, Code string }
}

func (d diagnostic) String() string {
	return d.Severity + " on " + d.Snippet.Code + ": " + d.Summary + ": " + d.Detail
}

// diagnostics returns the errors and warnings of a command that fails, by resource.
func (c *cli) diagnostics(command string) map[string][]diagnostic {
	c.h.t.Helper()
	run := c.start(c.h.t.Context(), command, "-json")
	if output, err := run.wait(); err == nil {
		c.h.t.Fatalf("%s succeeded:\n%s", command, output)
	}
	found := map[string][]diagnostic{}
	for decoder := json.NewDecoder(&run.stdout); decoder.More(); {
		// validate says it all at once, plan a line for each.
		var said struct {
			Diagnostics []diagnostic
			Diagnostic  diagnostic
		}
		if err := decoder.Decode(&said); err != nil {
			c.h.t.Fatal(err)
		}
		for _, d := range append(said.Diagnostics, said.Diagnostic) {
			resource := strings.TrimPrefix(d.Snippet.Context, `resource "bluegreen_deployment" `)
			resource = strings.Trim(resource, `"`)
			found[resource] = append(found[resource], d)
		}
	}
	return found
}

// isReported reports whether one of the diagnostics points at the attribute and has the text.
func (b badInput) isReported(severity string, found []diagnostic) bool {
	wantText := regexp.MustCompile(b.wantText)
	for _, d := range found {
		// Terraform shows the line of an attribute, or for a nested one that of the
		// resource, where the text has to name it.
		isAttribute := strings.HasPrefix(strings.TrimSpace(d.Snippet.Code), b.attribute) ||
			strings.Contains(d.Detail, "Attribute "+b.attribute+" ")
		if isAttribute && d.Severity == severity && wantText.MatchString(d.Summary+" "+d.Detail) {
			return true
		}
	}
	return false
}
